"""A web server that keeps what it is sent: python web_server.py FOLDER [CERTIFICATE KEY].

It answers the status that stands in FOLDER/status, with the address in FOLDER/location if there is one, writes each request as a line of JSON to FOLDER/requests, and its
port to FOLDER/port when it is ready.
"""

import http.server
import json
import pathlib
import ssl
import sys

folder = pathlib.Path(sys.argv[1])


class Keeper(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = int((folder / "status").read_text())
        kept = {
            "method": self.command,
            "path": self.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
            "status": status,
        }
        with (folder / "requests").open("a") as requests:
            requests.write(json.dumps(kept) + "\n")
        self.send_response(status)
        if (folder / "location").exists():
            self.send_header("Location", (folder / "location").read_text())
        self.end_headers()
        self.wfile.write(b"the server's own words\n")

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keeper)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
(folder / "port.new").write_text(str(server.server_port))
(folder / "port.new").rename(folder / "port")
server.serve_forever()
