"""Gives a new domain of Samba's the accounts that the tests know. The argument is its smb.conf."""

import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import drsblobs, lsa, security
from samba.ndr import ndr_pack
from samba.param import LoadParm
from samba.samdb import SamDB

PASSWORD = "Correct.Horse.1"
# So many that the ticket is larger than 4 KiB: each is eight octets of its PAC ([MS-PAC] 2.2.2).
GROUPS = 600

configuration = LoadParm()
configuration.load(sys.argv[1])
domain = SamDB(session_info=system_session(), lp=configuration)


def users(name):
    return f"CN={name},CN=Users,{domain.domain_dn()}"


def trust(realm, sid):
    """Trusts a realm as another forest: who has a name of it is referred to its KDC."""
    key = drsblobs.AuthenticationInformation()
    key.AuthType = lsa.TRUST_AUTH_TYPE_CLEAR
    password = "between them".encode("utf-16-le")
    key.AuthInfo.password = list(password)
    key.AuthInfo.size = len(password)
    keys = drsblobs.AuthenticationInformationArray()
    keys.count, keys.array = 1, [key]
    both = drsblobs.trustAuthInOutBlob()
    both.count, both.current = 1, keys
    domain.add(
        {
            "dn": f"CN={realm},CN=System,{domain.domain_dn()}",
            "objectClass": "trustedDomain",
            "trustPartner": realm,
            "flatName": realm.split(".")[0].upper(),
            "trustType": str(lsa.LSA_TRUST_TYPE_UPLEVEL),
            "trustDirection": str(lsa.LSA_TRUST_DIRECTION_INBOUND | lsa.LSA_TRUST_DIRECTION_OUTBOUND),
            "trustAttributes": str(lsa.LSA_TRUST_ATTRIBUTE_FOREST_TRANSITIVE),
            "securityIdentifier": ndr_pack(security.dom_sid(sid)),
            "trustAuthIncoming": ndr_pack(both),
            "trustAuthOutgoing": ndr_pack(both),
        }
    )


domain.transaction_start()
# A password may be changed again at once, and none grows old: the domain is kept for later runs.
domain.set_minPwdAge("0")
domain.set_maxPwdAge(str(-(2**63)))
# Wrong passwords are counted only where they lock an account.
locks = ldb.Message(ldb.Dn(domain, domain.domain_dn()))
locks["locks"] = ldb.MessageElement("10", ldb.FLAG_MOD_REPLACE, "lockoutThreshold")
domain.modify(locks)
# The name by which its LDAP server is found, which samba_spnupdate would add.
directory = ldb.Message(ldb.Dn(domain, f"CN=DC,OU=Domain Controllers,{domain.domain_dn()}"))
directory["spn"] = ldb.MessageElement("ldap/dc.ad.example", ldb.FLAG_MOD_ADD, "servicePrincipalName")
domain.modify(directory)
domain.newuser("user", PASSWORD)
upn = ldb.Message(ldb.Dn(domain, users("user")))
upn["upn"] = ldb.MessageElement("someone@corp.example", ldb.FLAG_MOD_REPLACE, "userPrincipalName")
domain.modify(upn)
# A name of the realm that is trusted, for who asks for one.
mail = ldb.Message(ldb.Dn(domain, users("user")))
mail["mail"] = ldb.MessageElement("user@heimdal.example", ldb.FLAG_MOD_REPLACE, "mail")
domain.modify(mail)
domain.newuser("chief", PASSWORD)
domain.add_remove_group_members("Domain Admins", ["chief"], add_members_operation=True)
domain.newcomputer("pc1", service_principal_name_list=["host/pc1.ad.example"])
domain.setpassword("(sAMAccountName=pc1$)", "Machine.Horse.1")
trust("other.example", "S-1-5-21-1-2-3")
trust("heimdal.example", "S-1-5-21-1-2-4")
domain.newuser("joiner", PASSWORD)
for number in range(GROUPS):
    domain.newgroup(f"group{number}")
    member = ldb.Message(ldb.Dn(domain, users(f"group{number}")))
    member["member"] = ldb.MessageElement(users("joiner"), ldb.FLAG_MOD_ADD, "member")
    domain.modify(member)
domain.transaction_commit()
