"""A mail server that keeps what it is sent: python mail_server.py FOLDER [CERTIFICATE KEY [offer]].

With a certificate it wants STARTTLS and the user ana with the password secret, or offers STARTTLS only. Whatever is for nobody@ it refuses for
good. Each mail is a line of JSON in FOLDER/mails; its port is in FOLDER/port when it is ready.
"""

import asyncio
import email
import email.policy
import json
import pathlib
import ssl
import sys

from aiosmtpd.controller import UnthreadedController
from aiosmtpd.smtp import AuthResult

folder = pathlib.Path(sys.argv[1])


class Keeper:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 unknown recipient"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        kept = {
            "sender": envelope.mail_from,
            "recipients": envelope.rcpt_tos,
            "headers": {name.lower(): str(value) for name, value in mail.items()},
            "body": mail.get_content().replace("\r\n", "\n"),
            "is_encrypted": session.ssl is not None,
            "user": session.auth_data,
        }
        with (folder / "mails").open("a") as mails:
            mails.write(json.dumps(kept) + "\n")
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    is_right = (data.login, data.password) == (b"ana", b"secret")
    return AuthResult(success=is_right, handled=True, auth_data=data.login.decode())


options = {}
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    options = dict(tls_context=context)
if len(sys.argv) == 4:
    options.update(require_starttls=True, auth_required=True, authenticator=authenticate)
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
controller = UnthreadedController(Keeper(), hostname="127.0.0.1", port=0, loop=loop, **options)
controller.begin()
port = controller.server.sockets[0].getsockname()[1]
(folder / "port.new").write_text(str(port))
(folder / "port.new").rename(folder / "port")
loop.run_forever()
