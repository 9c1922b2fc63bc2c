#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A fake inference engine: serves at /metrics what the file says, in vLLM's words.

	engine.py PORT FILE

FILE holds the milliseconds from one token to the next; each request finds 100 tokens more than the one before. With a 0 behind
them it is idle: nothing runs, and there are no more tokens.
"""
import http.server
import sys

port, file = int(sys.argv[1]), sys.argv[2]
count, total = 0, 0.0


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        global count, total
        with open(file) as f:
            ms, running = map(float, (f.read() + " 1").split()[:2])
        if running:
            count, total = count + 100, total + ms / 10
        body = (f'vllm:num_requests_running{{model_name="m"}} {running:.0f}\nvllm:num_requests_waiting{{model_name="m"}} 0\n'
                f'vllm:inter_token_latency_seconds_count{{model_name="m"}} {count}\n'
                f'vllm:inter_token_latency_seconds_sum{{model_name="m"}} {total}\n').encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
