#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""A model server on loopback that plays a scenario to a real agent tool.

    model.py SCENARIO [--port N] [--log FILE] [--raw FILE]

It speaks what the tools speak, streaming or not: Anthropic's Messages (claude),
OpenAI's Responses (codex), Gemini's generateContent (gemini).  Its first line
on stdout is its URL.

SCENARIO is JSON, {"turns": [...]}, each turn {"shell": COMMAND} or {"text":
TEXT}.  A shell turn may have a "timeout" in seconds, which is passed where
the tool has a parameter for it, and a "text" that goes with the call.

No state is kept: the turn is the number of tool results in the conversation
that the tool sends along, not counting what codex says of a command that goes
on (such a command is waited for, as a model would, before the next turn).
Requests that offer no shell (titles, summaries, classifiers) are none of the
scenario's and get the answer "ok".

The log has one line of JSON for each request of the scenario: the turn that is
answered, what it follows on ("results", the text of each tool result, and
"context", all other text since the last answer: what hooks added is in one of
the two, as the tool sees fit), and the answer.
"""
import argparse
import http.server
import json
import re
import sys
import threading
import urllib.parse


def texts(content):
    """All text in a value of any of the protocols' shapes."""
    if isinstance(content, str):
        return [content]
    if isinstance(content, list):
        return [t for part in content for t in texts(part)]
    if isinstance(content, dict):
        for key in ("text", "content", "output"):
            if key in content:
                return texts(content[key])
    return []


class Request:
    """What one protocol's request says, once its class has read the body.

    SHELL is the name of the tool's shell, of its parameter for the command, and
    of that for how many ms the tool waits.
    """

    def __init__(self):
        self.tools = {}     # parameters of each tool, by name
        self.turn = 0       # tool results so far
        self.results = []   # since the last answer
        self.context = []

    def result(self, content):
        self.turn += 1
        self.results.append("\n".join(texts(content)))

    def answered(self):
        self.results, self.context = [], []

    def wait(self):
        """The call, if any, that waits for a command that has not ended yet."""
        return None

    def shell(self, turn):
        """The turn's call in the words of the tool's own shell: its name and arguments."""
        name, command, wait = self.SHELL
        parameters = self.tools[name].get("properties", {})
        arguments = {command: turn["shell"]}
        if "description" in parameters:
            arguments["description"] = "A step of the scenario"
        if "timeout" in turn and wait:
            arguments[wait] = turn["timeout"] * 1000
        return name, arguments


class Messages(Request):
    SHELL = ("Bash", "command", "timeout")

    def __init__(self, path, body):
        super().__init__()
        self.model, self.stream = body.get("model", ""), body.get("stream", False)
        self.tools = {t["name"]: t.get("input_schema", {}) for t in body.get("tools", [])}
        for message in body.get("messages", []):
            if message["role"] == "assistant":
                self.answered()
                continue
            content = message["content"]
            for part in content if isinstance(content, list) else [content]:
                if isinstance(part, dict) and part.get("type") == "tool_result":
                    self.result(part)
                else:
                    self.context += texts(part)

    def answer(self, text, call):
        blocks = [{"type": "text", "text": text}] if text else []
        if call:
            blocks.append({"type": "tool_use", "id": f"toolu_{self.turn:04}", "name": call[0], "input": call[1]})
        message = {"id": f"msg_{self.turn:04}", "type": "message", "role": "assistant", "model": self.model,
                   "content": blocks, "stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None,
                   "usage": {"input_tokens": 10, "output_tokens": 10}}
        if not self.stream:
            return message
        events = [{"type": "message_start", "message": dict(message, content=[], stop_reason=None)}]
        for i, block in enumerate(blocks):
            if block["type"] == "text":
                start, delta = dict(block, text=""), {"type": "text_delta", "text": block["text"]}
            else:
                start = dict(block, input={})
                delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            events += [{"type": "content_block_start", "index": i, "content_block": start},
                       {"type": "content_block_delta", "index": i, "delta": delta},
                       {"type": "content_block_stop", "index": i}]
        events += [{"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None},
                    "usage": {"output_tokens": 10}},
                   {"type": "message_stop"}]
        return events


class Responses(Request):
    SHELL = ("exec_command", "cmd", "yield_time_ms")
    RUNNING = re.compile(r"^Process running with session ID (\d+)", re.MULTILINE)

    def __init__(self, path, body):
        super().__init__()
        self.model, self.stream = body.get("model", ""), body.get("stream", False)
        self.tools = {t["name"]: t.get("parameters", {}) for t in body.get("tools", []) if "name" in t}
        self.calls = 0      # so far, for ids: waiting is a call, too
        for item in body.get("input", []):
            kind = item.get("type", "message")
            if kind == "function_call" or item.get("role") == "assistant":
                self.answered()
                self.calls += kind == "function_call"
            elif kind.endswith("_output"):
                self.result(item)
            elif kind == "message":
                self.context += texts(item)

    def result(self, content):
        super().result(content)
        if self.RUNNING.search(self.results[-1]):
            self.turn -= 1

    def wait(self):
        running = self.results and self.RUNNING.search(self.results[-1])
        if running:
            return "write_stdin", {"session_id": int(running[1]), "chars": "", "yield_time_ms": 10000}
        return None

    def answer(self, text, call):
        items = []
        if text:
            items.append({"type": "message", "id": f"msg_{self.turn:04}", "role": "assistant", "status": "completed",
                          "content": [{"type": "output_text", "text": text, "annotations": []}]})
        if call:
            items.append({"type": "function_call", "id": f"fc_{self.calls:04}", "call_id": f"call_{self.calls:04}",
                          "name": call[0], "arguments": json.dumps(call[1]), "status": "completed"})
        response = {"id": f"resp_{self.turn:04}", "object": "response", "model": self.model, "status": "completed",
                    "output": items, "usage": {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0},
                                               "output_tokens": 10, "output_tokens_details": {"reasoning_tokens": 0},
                                               "total_tokens": 20}}
        if not self.stream:
            return response
        events = [{"type": "response.created", "response": dict(response, status="in_progress", output=[])}]
        for i, item in enumerate(items):
            events += [{"type": "response.output_item.added", "output_index": i, "item": item},
                       {"type": "response.output_item.done", "output_index": i, "item": item}]
        events.append({"type": "response.completed", "response": response})
        return [dict(e, sequence_number=n) for n, e in enumerate(events)]


class Contents(Request):
    SHELL = ("run_shell_command", "command", None)

    def __init__(self, path, body):
        super().__init__()
        self.model = path.rsplit("/", 1)[-1].split(":")[0]
        self.stream = ":stream" in path
        for group in body.get("tools", []):
            for f in group.get("functionDeclarations", []):
                self.tools[f["name"]] = f.get("parametersJsonSchema") or f.get("parameters", {})
        for content in body.get("contents", []):
            if content.get("role") == "model":
                self.answered()
                continue
            for part in content.get("parts", []):
                if "functionResponse" in part:
                    response = part["functionResponse"].get("response", {})
                    self.result(response.get("output", response.get("error", json.dumps(response))))
                else:
                    self.context += texts(part)

    def answer(self, text, call):
        parts = [{"text": text}] if text else []
        if call:
            parts.append({"functionCall": {"id": f"call_{self.turn:04}", "name": call[0], "args": call[1]}})
        reply = {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
                 "modelVersion": self.model,
                 "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 10, "totalTokenCount": 20}}
        return [reply] if self.stream else reply


def protocol(path):
    """The class that reads what is posted to a path, or None."""
    if path.endswith("/messages"):
        return Messages
    if path.endswith("/responses"):
        return Responses
    if path.lower().endswith("generatecontent"):
        return Contents
    return None


def play(turns, request):
    """The text and the call that answer a request; last, whether it is one of the scenario's."""
    if request.SHELL[0] not in request.tools:
        return "ok", None, False
    wait = request.wait()
    if wait:
        return "", wait, True
    turn = turns[request.turn] if request.turn < len(turns) else {"text": "The scenario is over."}
    return turn.get("text", ""), request.shell(turn) if "shell" in turn else None, True


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    lock = threading.Lock()     # of the two files

    def log_message(self, *args):
        pass

    def record(self, file, entry):
        if file:
            with self.lock:
                file.write(json.dumps(entry) + "\n")
                file.flush()

    def send(self, data, kind="application/json", status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def reply(self, value):
        if not isinstance(value, list):
            return self.send(json.dumps(value).encode())
        out = ""
        for event in value:
            if "type" in event:
                out += f"event: {event['type']}\n"
            out += f"data: {json.dumps(event)}\n\n"
        self.send(out.encode(), "text/event-stream")

    def do_GET(self):
        self.record(self.server.raw, {"method": self.command, "path": self.path})
        if urllib.parse.urlsplit(self.path).path.endswith("/models"):
            return self.send(b'{"object": "list", "data": [], "models": []}')
        self.send(b'{"error": {"message": "not here"}}', status=200 if self.path == "/" else 404)

    do_HEAD = do_GET

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        self.record(self.server.raw, {"method": "POST", "path": self.path, "body": body})
        path = urllib.parse.urlsplit(self.path).path
        if path.endswith("/count_tokens"):
            return self.reply({"input_tokens": 10})
        if path.endswith(":countTokens"):
            return self.reply({"totalTokens": 10})
        speaks = protocol(path)
        if not speaks:
            return self.send(b'{"error": {"message": "not here"}}', status=404)
        request = speaks(path, body)
        text, call, ours = play(self.server.turns, request)
        if ours:
            self.record(self.server.log, {
                "api": speaks.__name__, "turn": request.turn, "results": request.results, "context": request.context,
                "text": text, "call": {"tool": call[0], "arguments": call[1]} if call else None})
        self.reply(request.answer(text, call))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", help="what is answered")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument("--log", help="append a line of JSON for each request of the scenario")
    parser.add_argument("--raw", help="append all requests as they came")
    args = parser.parse_args()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    with open(args.scenario) as f:
        server.turns = json.load(f)["turns"]
    server.log = open(args.log, "a") if args.log else None
    server.raw = open(args.raw, "a") if args.raw else None
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
