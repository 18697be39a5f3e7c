"""Both ends of a GSS context with the Kerberos mechanism, in one process.

The initiator has the credential cache of the environment. What the acceptor learns of it is printed: its name, and the
authentication indicators (RFC 8129) that stand among the attributes of that name (RFC 6680).
"""

import argparse
import sys

import gssapi

INDICATORS = b"auth-indicators"

parser = argparse.ArgumentParser()
parser.add_argument("service", help="the acceptor's principal")
parser.add_argument("keytab", help="its key")
parser.add_argument("--forward", metavar="CACHE", help="forward the initiator's ticket, and let the acceptor keep it here")
parser.add_argument("--proxy", metavar="CACHE", help="let the acceptor, with its ticket in here, act for the initiator ...")
parser.add_argument("--to", metavar="SERVICE", help="... before this service")
args = parser.parse_args()


def principal(name):
    return gssapi.Name(name, gssapi.NameType.kerberos_principal)


def meet(initiator, acceptor):
    """Exchanges tokens until both are content."""
    token = None
    while not (initiator.complete and acceptor.complete):
        token = initiator.step(token)
        if token is not None:
            token = acceptor.step(token)


flags = gssapi.RequirementFlag.mutual_authentication
if args.forward:
    flags |= gssapi.RequirementFlag.delegate_to_peer
store = {"keytab": args.keytab}
if args.proxy:
    store["ccache"] = args.proxy
usage = "both" if args.proxy else "accept"
own = gssapi.Credentials(name=principal(args.service), usage=usage, store=store)
initiator = gssapi.SecurityContext(name=principal(args.service), usage="initiate", flags=flags)
acceptor = gssapi.SecurityContext(creds=own, usage="accept")
meet(initiator, acceptor)

name = acceptor.initiator_name
print("initiator:", name)
if INDICATORS in set(name.attributes):
    for indicator in name.attributes[INDICATORS].values:
        print("indicator:", indicator.decode())
if acceptor.delegated_creds is None and (args.forward or args.to):
    sys.exit("nothing was delegated")
if args.forward:
    acceptor.delegated_creds.store(store={"ccache": args.forward}, overwrite=True)
if args.to:
    # With a ticket that was not forwarded, these are the acceptor's own and the initiator's ticket (S4U2Proxy).
    service = principal(args.to)
    gssapi.SecurityContext(name=service, creds=acceptor.delegated_creds, usage="initiate").step()
    print("acted before:", service)
