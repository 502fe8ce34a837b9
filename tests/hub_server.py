"""A hub on loopback: the routes, headers and refusals of the real one, and breakdowns on demand.

>>> with serve() as hub:  # doctest: +SKIP
...     hub.add("owner/name", {"config.json": b"{}"})
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Request(NamedTuple):
    method: str
    path: str
    token: str | None


class Hub(ThreadingHTTPServer):
    """`repos`: {name: {branch or commit: {file: content}}}; the rest is what it does wrong, and what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repos: dict[str, dict[str, dict[str, bytes]]] = {}
        self.commits: dict[int, str] = {}  # by the identity of a tree of files
        self.tokens: dict[str, str] = {}  # repo -> the token that may read it
        self.gated: set[str] = set()
        self.moved: dict[str, str] = {}  # repo -> where it is now
        self.breakdowns: dict[
            str, list[str]
        ] = {}  # file -> what its next GETs do: "half", "short", "nothing"
        self.headers: dict[str, str | None] = {}  # headers to send otherwise, or not at all, with every HEAD
        self.status: int | None = None  # instead of every answer
        self.write_token: str | None = None  # who may write
        self.messages: list[str] = []  # of commits
        self.hangs = False  # never answers
        self.ended = threading.Event()
        self.error_codes = True  # whether refusals say in a header which kind they are, as the real hub's do
        self.log: list[Request] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, repo: str, files: Mapping[str, bytes] | Path, branch: str = "main") -> str:
        """Commit these files, or a folder's, as the branch's newest; return the commit."""
        if not isinstance(files, dict):
            files = {
                path.relative_to(files).as_posix(): path.read_bytes()
                for path in files.rglob("*")
                if path.is_file()
            }
        digest = hashlib.sha1(repr((repo, sorted(files.items()))).encode()).hexdigest()
        self.repos.setdefault(repo, {})[branch] = self.repos[repo][digest] = files
        self.commits[id(files)] = digest
        return digest

    def asked(self, method: str = "GET") -> list[str]:
        """The files that were asked for, in order."""
        return [
            request.path.split("/resolve/")[1].split("/", 1)[1]
            for request in self.log
            if request.method == method and "/resolve/" in request.path
        ]


@contextmanager
def serve() -> Iterator[Hub]:
    hub = Hub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.ended.set()
        hub.shutdown()
        hub.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = urlsplit(self.path).path
        authorization = self.headers.get("authorization")
        self.server.log.append(Request(self.command, path, authorization and authorization.split()[-1]))
        if self.server.hangs:
            self.server.ended.wait()
        elif self.server.status:
            self._refuse(self.server.status, "")
        elif self.command == "POST":
            self._post(path, self.rfile.read(int(self.headers["Content-Length"])))
        elif path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            repo, _, rest = path.strip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
            self._file(repo, unquote(revision), unquote(file))
        else:
            self._refuse(404, "")

    def _files(self, repo: str, revision: str) -> dict[str, bytes] | None:
        """The revision's tree, or None once a refusal was sent."""
        hub, token = self.server, self.server.log[-1].token
        if repo in hub.moved:
            self._send(307, {"Location": self.path.replace(repo, hub.moved[repo], 1)})
        elif repo in hub.gated and not token:
            self._refuse(403, "GatedRepo")
        elif repo in hub.tokens and token is not None and token != hub.tokens[repo]:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif repo not in hub.repos or (repo in hub.tokens and token != hub.tokens[repo]):
            self._refuse(404 if token else 401, "RepoNotFound")
        elif revision not in hub.repos[repo]:
            self._refuse(404, "RevisionNotFound")
        else:
            return hub.repos[repo][revision]
        return None

    def _file(self, repo: str, revision: str, file: str) -> None:
        files = self._files(repo, revision)
        if files is None:
            return
        commit = self.server.commits[id(files)]
        if file not in files:
            self._refuse(404, "EntryNotFound", commit=commit)
            return
        content = files[file]
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        if self.command == "HEAD":
            self._send(200, {**headers, **self.server.headers}, length=len(content))
            return
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        breakdowns = self.server.breakdowns.get(file, [])
        self._send_file(
            206 if start else 200, headers, content[start:], breakdowns.pop(0) if breakdowns else ""
        )

    def _send_file(self, status: int, headers: dict[str, Any], content: bytes, breakdown: str) -> None:
        half = content[: len(content) // 2]
        if breakdown:
            self.close_connection = True
        if breakdown == "half":
            self._send(status, headers, half, length=len(content))
        elif breakdown == "short":
            self._send(status, headers, half)
        elif breakdown != "nothing":
            self._send(status, headers, content)

    def _api(self, path: str) -> None:
        repo, _, rest = path.partition("/revision/")
        kind = "revision" if rest else "tree"
        if not rest:
            repo, _, rest = path.partition("/tree/")
        files = self._files(repo, unquote(rest))
        if files is None:
            return
        tree = [
            {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
            for name, content in files.items()
        ]
        info = {
            "id": repo,
            "sha": self.server.commits[id(files)],
            "siblings": [{"rfilename": name} for name in files],
        }
        content = json.dumps(info if kind == "revision" else tree).encode()
        self._send(200, {"Content-Type": "application/json"}, content)

    def _post(self, path: str, body: bytes) -> None:
        """Make a repository, and commit files into it, for who has the token of this hub."""
        hub, token = self.server, self.server.log[-1].token
        if token != hub.write_token:
            self._refuse(401, "", "Invalid username or password.")
        elif path == "/api/repos/create":
            made = json.loads(body)
            repo = "/".join(part for part in (made.get("organization"), made["name"]) if part)
            if repo not in hub.repos:
                hub.add(repo, {})
            self._json({"url": f"{hub.endpoint}/{repo}", "private": made.get("private")})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            asked = json.loads(body)["files"]
            told = {"uploadMode": "regular", "shouldIgnore": False, "oid": None}
            self._json({"files": [{"path": file["path"], **told} for file in asked]})
        else:
            repo = path.removeprefix("/api/models/").partition("/commit/")[0]
            lines = [json.loads(line) for line in body.splitlines()]
            files = {
                line["value"]["path"]: base64.b64decode(line["value"]["content"])
                for line in lines
                if line["key"] == "file"
            }
            hub.messages.append(lines[0]["value"]["summary"])
            commit = hub.add(repo, {**hub.repos[repo]["main"], **files})
            url = f"{hub.endpoint}/{repo}/commit/{commit}"
            self._json({"success": True, "commitOid": commit, "commitUrl": url})

    def _json(self, value: Any) -> None:
        self._send(200, {"Content-Type": "application/json"}, json.dumps(value).encode())

    def _refuse(self, status: int, code: str, message: str = "", commit: str | None = None) -> None:
        coded = self.server.error_codes
        self._send(
            status,
            {
                "X-Error-Code": (coded and code) or None,
                "X-Error-Message": (coded and message) or None,
                "X-Repo-Commit": commit,
            },
        )

    def _send(
        self, status: int, headers: Mapping[str, str | None], content: bytes = b"", length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
