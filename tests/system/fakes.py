# SPDX-License-Identifier: GPL-2.0-only
"""Fakes of vLLM, SGLang and LMCache's controller: they serve what the test says, in the shapes of the real ones, and hold no cache.

The shapes are from their sources: see userspace/gpu/adapter-shared.c and adapter-lmcache.c. No real one was asked.
"""
import http.server
import json
import threading


class Fake(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", port), Handler)
        self.url, self.mode, self.log = f"http://127.0.0.1:{port}", "", []
        self.gone = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def stop(self):
        self.gone.set()
        self.shutdown()
        self.server_close()

    def posts(self, path):
        return [body for p, body in self.log if p == path]

    def handle_error(self, request, client_address):
        pass    # who does not wait for an answer

    def answer(self, path, body):
        """Its status, and what it says."""
        raise NotImplementedError


class Handler(http.server.BaseHTTPRequestHandler):
    def serve(self, body):
        fake = self.server
        if self.command == "POST":
            fake.log.append((self.path, body))
        status, text = fake.answer(self.path, body)
        if fake.mode == "silent" and self.path != "/metrics":
            fake.gone.wait(60)
            return
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        # A half answer: the connection ends before what was promised.
        self.wfile.write(data[:len(data) // 2] if fake.mode == "half" and self.path != "/metrics" else data)

    def do_GET(self):
        self.serve(None)

    def do_POST(self):
        self.serve(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"null"))

    def log_message(self, *args):
        pass


NOT_FOUND = 404, '{"detail":"Not Found"}'


class Engine(Fake):
    """What both count; a request is over as soon as it has come."""
    running = waiting = ended = prompts = reused = 0

    def request(self, tokens, reused):
        self.prompts, self.reused, self.ended = self.prompts + tokens, self.reused + reused, self.ended + 1

    def metrics(self, names, labels):
        return 200, "".join(f"# TYPE {name} gauge\n{name}{{{labels}}} {float(value)}\n" for name, value in names.items())


class VLLM(Engine):
    """Modes: "" (200 without a body), "word", "busy", "old" (without VLLM_SERVER_DEV_MODE=1)."""

    def answer(self, path, body):
        if path == "/metrics":
            return self.metrics({"vllm:num_requests_running": self.running, "vllm:num_requests_waiting": self.waiting,
                                 "vllm:request_success_total": self.ended, "vllm:prefix_cache_queries_total": self.prompts,
                                 "vllm:prefix_cache_hits_total": self.reused}, 'engine="0",model_name="fake"')
        if path != "/reset_prefix_cache" or self.mode == "old":
            return NOT_FOUND
        return 200, {"word": '{"success":true}', "busy": '{"success":false}'}.get(self.mode, "")


class SGLang(Engine):
    def answer(self, path, body):
        if path == "/metrics":
            return self.metrics({"sglang:num_running_reqs": self.running, "sglang:num_queue_reqs": self.waiting,
                                 "sglang:num_requests_total": self.ended, "sglang:prompt_tokens_total": self.prompts,
                                 "sglang:cached_tokens_total": self.reused}, 'model_name="fake",tp_rank="0"')
        if path != "/flush_cache":
            return NOT_FOUND
        return 400 if self.running or self.waiting or self.mode == "busy" else 200, "Cache flushed.\nPlease check backend logs for more details.\n"


class LMCache(Fake):
    """Modes: "", "error", "half", "silent"."""
    layout = {}

    def answer(self, path, body):
        if self.mode == "error":
            return 500, '{"detail":"a fake error"}'
        if path == "/lookup":
            return 200, json.dumps({"event_id": "Lookup-1", "layout_info": self.layout})
        if path in ("/move", "/clear"):
            return 200, json.dumps({"event_id": "1", "num_tokens": 512})
        return NOT_FOUND
