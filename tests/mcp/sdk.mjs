// SPDX-License-Identifier: GPL-2.0-only
// The official TypeScript SDK's clients, of both generations, with agentcg mcp and the real daemon; see test-sdk.sh.
// Prints "ok - TEXT" or "not ok - TEXT" for each result.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [agentcg, modules, session] = process.argv.slice(2);
const MiB = 2 ** 20;
const { resolve } = createRequire(`${modules}/package.json`);
const load = (name) => import(pathToFileURL(resolve(name)));

function check(text, passed, why) {
	console.log(`${passed ? "" : "not "}ok - ${text}`);
	if (!passed && why !== undefined)
		console.log(JSON.stringify(why));
}

const equal = (text, got, wanted) => {
	try {
		assert.deepEqual(got, wanted);
		check(text, true);
	} catch {
		check(text, false, { got, wanted });
	}
};

const like = (text, got, pattern) => check(text, pattern.test(got), { got, wanted: String(pattern) });

// A tool call of the session, as a hook or a prefix begins it: the result that the daemon told.
function run(options, ...command) {
	const done = spawnSync(agentcg, ["run", "--session", session, "--json", ...options, "--", ...command], { encoding: "utf8" });
	const result = done.stderr.split("\n").find((line) => line.startsWith("{"));
	return { ...JSON.parse(result ?? "{}"), notes: done.stderr };
}

// Structured answers are checked against their schemas by the client, which throws when they do not fit.
async function tools(name, client, callWith) {
	const { tools } = await client.listTools();
	equal(`${name}: the tools`, tools.map((t) => t.name), ["declare_intent", "see_budget", "explain_last_failure"]);
	equal(`${name}: ... with what they may do`, tools.map((t) => t.annotations.readOnlyHint), [false, true, true]);

	let r = await client.callTool({ name: "declare_intent", arguments: { requests: { memory: "96Mi" }, timeout: "50s" } });
	equal(`${name}: declared and granted`, [r.isError, r.structuredContent.granted.requests.memory, r.structuredContent.granted.timeoutUSec],
		[false, 96 * MiB, 50000000]);
	like(`${name}: ... in words`, r.content[0].text, /^Declared for the next command of session .*: 96 MiB of memory, /);
	let done = run([], "true");
	equal(`${name}: the next call gets it`, done.request, 96 * MiB);
	like(`${name}: ... and is told why`, done.notes, /as declared before/);
	check(`${name}: ... the one after it does not`, run([], "true").request !== 96 * MiB);
	await client.callTool({ name: "declare_intent", arguments: { command: "cat /dev/null", requests: { memory: "70Mi" } } });
	check(`${name}: declared for a command, another does not get it`, run([], "true").request !== 70 * MiB);
	equal(`${name}: ... that one does`, run([], "sh", "-c", "cat /etc/hostname").request, 70 * MiB);

	r = await client.callTool({ name: "declare_intent", arguments: { limits: { memory: "64Gi", pids: 100000 } } });
	equal(`${name}: nothing above the policy is granted`, [r.structuredContent.granted.limits.memory, r.structuredContent.notes.length], [300 * MiB, 2]);
	r = await client.callTool({ name: "declare_intent", arguments: { limits: { memory: "2G" } } });
	equal(`${name}: a wrong word is an error for the model`, r.isError, true);
	like(`${name}: ... that says what to say`, r.content[0].text, /limits\.memory.*say 2Gi/);

	r = await client.callTool({ name: "see_budget", arguments: {} });
	equal(`${name}: the budget`, [r.structuredContent.session, r.structuredContent.pool.memoryMax].map((v) => v.name ?? v), [session, 400 * MiB]);
	equal(`${name}: ... what a command may have`, [r.structuredContent.allowed.memory, r.structuredContent.allowed.pids], [300 * MiB, 200]);

	r = await client.callTool({ name: "see_budget", arguments: { until_free: "1Mi" } });
	like(`${name}: what is free is not waited for`, r.content[0].text, / are free now\. /);
	const told = [];
	const giveUp = new AbortController();
	const held = spawnSync(agentcg, ["run", "--session", "hog", "--detach", "--json", "--", "sh", "-c",
		"rm -f /tmp/hog; python3 -c 'import time; x = bytearray(200 << 20); open(\"/tmp/hog\", \"w\"); time.sleep(600)' >/dev/null 2>&1 & " +
		"while [ ! -e /tmp/hog ]; do sleep 0.2; done"], { encoding: "utf8" });
	const waiting = callWith({ name: "see_budget", arguments: { until_free: "300Mi", within: "9m" } }, {
		signal: giveUp.signal, onprogress: (p) => { told.push(p); if (told.length === 2) giveUp.abort("enough"); },
	});
	await waiting.then(() => check(`${name}: it waits`, false, held.stderr), () => check(`${name}: it waits until the client gives up`, true));
	like(`${name}: ... and is told how far it is`, told[0]?.message ?? "", /^[0-9.]+ MiB of 300 MiB are free$/);
	check(`${name}: ... more each time`, told.length === 2 && told[0].progress < told[1].progress, told);
	spawnSync(agentcg, ["session", "close", "--kill", "hog"]);

	run(["--memory-max", "32Mi"], "python3", "-c", "x = bytearray(100 << 20)");
	r = await client.callTool({ name: "explain_last_failure", arguments: {} });
	if (process.env.NO_RESULTS) {
		like(`${name}: without results the daemon cannot tell, and says so`, r.content[0].text, /cannot tell/);
	} else {
		equal(`${name}: why the last one failed`, [r.structuredContent.failed, r.structuredContent.result?.outcome], [true, "oom_killed"]);
		like(`${name}: ... and what to do`, r.content[0].text, /^"python3 -c .*out of memory.* limit 32 MiB.*call declare_intent with \{/);
		equal(`${name}: ... which is taken as it is`,
			(await client.callTool({ name: "declare_intent", arguments: r.structuredContent.declare })).isError, false);
	}
	await assert.rejects(client.callTool({ name: "no_tool", arguments: {} }), (e) => e.code === -32602);
	check(`${name}: an unknown tool is an error`, true);
}

const info = { name: "agentcg-tests", version: "1" };
const server = { command: agentcg, args: ["mcp", "--session", session], stderr: "inherit" };

async function first() {
	const { Client } = await load("@modelcontextprotocol/sdk/client/index.js");
	const { StdioClientTransport } = await load("@modelcontextprotocol/sdk/client/stdio.js");
	const { LATEST_PROTOCOL_VERSION } = await load("@modelcontextprotocol/sdk/types.js");
	const client = new Client(info);
	const transport = new StdioClientTransport(server);
	let agreed;
	transport.setProtocolVersion = (version) => { agreed = version; };
	const errors = [];
	client.onerror = (e) => errors.push(String(e));
	await client.connect(transport);
	equal("SDK 1: the newest version that it speaks", agreed, LATEST_PROTOCOL_VERSION);
	equal("SDK 1: the server's name", client.getServerVersion().name, "agentcg");
	like("SDK 1: ... and its instructions", client.getInstructions(), /declare_intent/);
	await client.ping();
	await tools("SDK 1", client, (request, options) => client.callTool(request, undefined, options));
	await client.close();
	equal("SDK 1: nothing else came", errors, []);
}

async function second(mode, wanted) {
	const { Client } = await load("@modelcontextprotocol/client");
	const { StdioClientTransport } = await load("@modelcontextprotocol/client/stdio");
	const name = `SDK 2, ${wanted}`;
	const client = new Client(info, { versionNegotiation: { mode } });
	const errors = [];
	client.onerror = (e) => errors.push(String(e));
	await client.connect(new StdioClientTransport(server));
	equal(`${name}: is what they agree on`, client.getNegotiatedProtocolVersion(), wanted);
	equal(`${name}: the server's name`, client.getServerVersion()?.name, "agentcg");
	await tools(name, client, (request, options) => client.callTool(request, options));
	await client.close();
	equal(`${name}: nothing else came`, errors, []);
}

for (const part of [first, () => second({ pin: "2026-07-28" }, "2026-07-28"), () => second("legacy", "2025-11-25")]) {
	try {
		await part();
	} catch (e) {
		check(`to the end: ${e.stack.replaceAll("\n", " ")}`, false);
	}
}

process.exit(); // one that came to no good end has left its client open
