"""A context between a user and a service, both here: context.py user password service keytab"""

import sys

import gssapi
from gssapi.raw import acquire_cred_with_password

user, password, service, keytab = sys.argv[1:]
principal = gssapi.NameType.kerberos_principal
name = gssapi.Name(user, principal)
try:
    login = acquire_cred_with_password(name, password.encode(), usage="initiate")
    credentials = gssapi.Credentials(login.creds)
    initiator = gssapi.SecurityContext(
        name=gssapi.Name(service, principal), creds=credentials, usage="initiate"
    )
    token = initiator.step()
except gssapi.exceptions.GSSError as error:
    sys.exit(str(error))
keys = gssapi.Credentials(usage="accept", store={"keytab": keytab})
acceptor = gssapi.SecurityContext(creds=keys, usage="accept")
while not initiator.complete:
    token = initiator.step(acceptor.step(token))
print(acceptor.target_name, "was called by", acceptor.initiator_name)
secret = initiator.wrap(b"for your eyes only", encrypt=True)
print("heard:", acceptor.unwrap(secret.message).message.decode())
