"""Gives a new domain of Samba's the accounts that the tests know. The argument is its smb.conf."""

import sys

import ldb
from samba.auth import system_session
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


domain.transaction_start()
# A password may be changed again at once, and none grows old: the domain is kept for later runs.
domain.set_minPwdAge("0")
domain.set_maxPwdAge(str(-(2**63)))
domain.newuser("user", PASSWORD)
upn = ldb.Message(ldb.Dn(domain, users("user")))
upn["upn"] = ldb.MessageElement("someone@corp.example", ldb.FLAG_MOD_REPLACE, "userPrincipalName")
domain.modify(upn)
domain.newuser("chief", PASSWORD)
domain.add_remove_group_members("Domain Admins", ["chief"], add_members_operation=True)
domain.newcomputer("pc1", service_principal_name_list=["host/pc1.ad.example"])
domain.setpassword("(sAMAccountName=pc1$)", "Machine.Horse.1")
domain.newuser("joiner", PASSWORD)
for number in range(GROUPS):
    domain.newgroup(f"group{number}")
    member = ldb.Message(ldb.Dn(domain, users(f"group{number}")))
    member["member"] = ldb.MessageElement(users("joiner"), ldb.FLAG_MOD_ADD, "member")
    domain.modify(member)
domain.transaction_commit()
