# A mail server that wants TLS and a login: mail_server.py (starttls|implicit) PORT MAILBOX CERTIFICATE KEY USER PASSWORD
import asyncio
import ssl
import sys

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

mode, port, mailbox, certificate, key, user, password = sys.argv[1:]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
starttls = mode == "starttls"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == (user, password)
    return AuthResult(success=good, handled=False)


def protocol():
    return SMTP(
        Mailbox(mailbox),
        hostname="localhost",
        tls_context=context if starttls else None,
        require_starttls=starttls,
        authenticator=authenticate,
        auth_required=True,
        # Where TLS is there from the first byte, the server knows nothing of it.
        auth_require_tls=starttls,
    )


async def main():
    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", int(port), ssl=None if starttls else context
    )
    await server.serve_forever()


asyncio.run(main())
