// SPDX-License-Identifier: GPL-2.0-only
#include "io-agentcg.h"

#define COMMENT(text)		SD_VARLINK_FIELD_COMMENT(text)
#define FIELD(n, t)		SD_VARLINK_DEFINE_FIELD(n, SD_VARLINK_##t, 0)
#define FIELD_OPT(n, t)		SD_VARLINK_DEFINE_FIELD(n, SD_VARLINK_##t, SD_VARLINK_NULLABLE)
#define INPUT(n, t)		SD_VARLINK_DEFINE_INPUT(n, SD_VARLINK_##t, 0)
#define INPUT_OPT(n, t)		SD_VARLINK_DEFINE_INPUT(n, SD_VARLINK_##t, SD_VARLINK_NULLABLE)
#define OUTPUT(n, t)		SD_VARLINK_DEFINE_OUTPUT(n, SD_VARLINK_##t, 0)
#define OUTPUT_OPT(n, t)	SD_VARLINK_DEFINE_OUTPUT(n, SD_VARLINK_##t, SD_VARLINK_NULLABLE)

static SD_VARLINK_DEFINE_ENUM_TYPE(Enforcement,
	COMMENT("The kernel module and the BPF policy are at work"),
	SD_VARLINK_DEFINE_ENUM_VALUE(kernel),
	COMMENT("Only what the cgroup files alone can do: limits, weights, oom.group, memory.low"),
	SD_VARLINK_DEFINE_ENUM_VALUE(degraded));

static SD_VARLINK_DEFINE_ENUM_TYPE(Phase,
	SD_VARLINK_DEFINE_ENUM_VALUE(running),
	COMMENT("Waits at its next allocation until memory is free"),
	SD_VARLINK_DEFINE_ENUM_VALUE(held),
	COMMENT("Held longer than the deadline; the next rung's turn"),
	SD_VARLINK_DEFINE_ENUM_VALUE(expired),
	SD_VARLINK_DEFINE_ENUM_VALUE(frozen));

static SD_VARLINK_DEFINE_ENUM_TYPE(Outcome,
	SD_VARLINK_DEFINE_ENUM_VALUE(ok),
	COMMENT("It finished, but had to wait for memory"),
	SD_VARLINK_DEFINE_ENUM_VALUE(held),
	COMMENT("It finished, slowed"),
	SD_VARLINK_DEFINE_ENUM_VALUE(throttled),
	SD_VARLINK_DEFINE_ENUM_VALUE(oom_killed),
	SD_VARLINK_DEFINE_ENUM_VALUE(timeout),
	COMMENT("Memory stayed short for those more important"),
	SD_VARLINK_DEFINE_ENUM_VALUE(killed_by_policy),
	COMMENT("It ended by itself, but could not start all processes or threads that it wanted"),
	SD_VARLINK_DEFINE_ENUM_VALUE(pids_exceeded));

static SD_VARLINK_DEFINE_ENUM_TYPE(Retry,
	COMMENT("The same again, when less is going on"),
	SD_VARLINK_DEFINE_ENUM_VALUE(later),
	COMMENT("With a higher limit or request, which the policy allows"),
	SD_VARLINK_DEFINE_ENUM_VALUE(larger),
	COMMENT("Only with less work at once"),
	SD_VARLINK_DEFINE_ENUM_VALUE(smaller));

static SD_VARLINK_DEFINE_ENUM_TYPE(EventType,
	SD_VARLINK_DEFINE_ENUM_VALUE(hold),
	SD_VARLINK_DEFINE_ENUM_VALUE(release),
	SD_VARLINK_DEFINE_ENUM_VALUE(expired),
	SD_VARLINK_DEFINE_ENUM_VALUE(frozen),
	SD_VARLINK_DEFINE_ENUM_VALUE(thawed),
	SD_VARLINK_DEFINE_ENUM_VALUE(killed),
	SD_VARLINK_DEFINE_ENUM_VALUE(timeout),
	SD_VARLINK_DEFINE_ENUM_VALUE(oom),
	COMMENT("A call waits to begin; it has no name yet: call is its session's"),
	SD_VARLINK_DEFINE_ENUM_VALUE(queued),
	COMMENT("It has waited and begins"),
	SD_VARLINK_DEFINE_ENUM_VALUE(admitted),
	COMMENT("A call began that is tried again and again; the text says how that ended before, and what to change"),
	SD_VARLINK_DEFINE_ENUM_VALUE(retry),
	COMMENT("Memory runs short, or does no more: of the pool (call is empty), or in a session (call is its name)"),
	SD_VARLINK_DEFINE_ENUM_VALUE(pressure),
	COMMENT("A session (call is its name), or all of a user together (call is empty), use 80 or 95 % of their budget, or no more"),
	SD_VARLINK_DEFINE_ENUM_VALUE(budget));

static SD_VARLINK_DEFINE_ENUM_TYPE(Lacks,
	COMMENT("Nothing; those before it go first"),
	SD_VARLINK_DEFINE_ENUM_VALUE(turn),
	COMMENT("Others are to end first, as it said"),
	SD_VARLINK_DEFINE_ENUM_VALUE(after),
	COMMENT("Its session, its user or the machine has as many calls as may be"),
	SD_VARLINK_DEFINE_ENUM_VALUE(calls),
	COMMENT("Memory, of its session's budget or its user's"),
	SD_VARLINK_DEFINE_ENUM_VALUE(budget),
	COMMENT("Memory, of the pool"),
	SD_VARLINK_DEFINE_ENUM_VALUE(memory));

static SD_VARLINK_DEFINE_ENUM_TYPE(Scheduler,
	COMMENT("agentcg's own: exact shares, classes, deadlines"),
	SD_VARLINK_DEFINE_ENUM_VALUE(sched_ext),
	COMMENT("The kernel's, by cpu.weight"),
	SD_VARLINK_DEFINE_ENUM_VALUE(weights));

static SD_VARLINK_DEFINE_ENUM_TYPE(Latency,
	COMMENT("Short and interactive: first when it wakes up, at most 200 ms of CPU time ahead of its share"),
	SD_VARLINK_DEFINE_ENUM_VALUE(interactive),
	COMMENT("Never before others"),
	SD_VARLINK_DEFINE_ENUM_VALUE(batch));

static SD_VARLINK_DEFINE_ENUM_TYPE(OnPressure,
	COMMENT("Go on slowly"),
	SD_VARLINK_DEFINE_ENUM_VALUE(throttle),
	COMMENT("Stand still, its memory reclaimed; the default"),
	SD_VARLINK_DEFINE_ENUM_VALUE(freeze),
	COMMENT("End: it can be run again"),
	SD_VARLINK_DEFINE_ENUM_VALUE(kill));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Requests,
	COMMENT("CPUs, a number or \"500m\": what share it gets beside others of its priority; 1 if nothing is said"),
	FIELD_OPT(cpu, ANY),
	COMMENT("Bytes, or \"512Mi\": what it will probably need; kept free for it, no limit"),
	FIELD_OPT(memory, ANY),
	COMMENT("Reserved, no effect yet"),
	FIELD_OPT(gpu_memory, ANY),
	COMMENT("Reserved, no effect yet"),
	FIELD_OPT(io, ANY));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Limits,
	COMMENT("CPUs, a number or \"500m\" (cpu.max)"),
	FIELD_OPT(cpu, ANY),
	COMMENT("Bytes, or \"512Mi\" (memory.max)"),
	FIELD_OPT(memory, ANY),
	COMMENT("Processes and threads at once (pids.max)"),
	FIELD_OPT(pids, INT),
	COMMENT("Reserved, no effect yet"),
	FIELD_OPT(gpu_memory, ANY),
	COMMENT("Reserved, no effect yet"),
	FIELD_OPT(io, ANY));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Intent,
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(requests, Requests, SD_VARLINK_NULLABLE),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(limits, Limits, SD_VARLINK_NULLABLE),
	COMMENT("Times are texts with a unit: \"500ms\", \"30s\", \"5m\". Killed so long after its beginning"),
	FIELD_OPT(timeout, ANY),
	COMMENT("When it should be done, from now on: as that comes closer the call goes first among equals"),
	FIELD_OPT(deadline, ANY),
	COMMENT("How long it will probably take"),
	FIELD_OPT(duration, ANY),
	COMMENT("Default: short calls are found out by what they use"),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(latency, Latency, SD_VARLINK_NULLABLE),
	COMMENT("What to do with it if it is held longer than the policy's deadline"),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(on_pressure, OnPressure, SD_VARLINK_NULLABLE),
	COMMENT("It outlives its client and ends with its last process, its timeout or its session"),
	FIELD_OPT(detach, BOOL),
	COMMENT("As MCP has them of a tool: readOnlyHint, idempotentHint: on_pressure kill; destructiveHint: throttle. "
		"Beside them also MCP's _meta, of the tool or the request: an Intent in it by the key io.agentcg/intent. "
		"What the Intent itself says is heard first, then _meta, then these"),
	FIELD_OPT(annotations, OBJECT));

static SD_VARLINK_DEFINE_STRUCT_TYPE(GrantedRequests,
	COMMENT("Thousandths of a CPU"),
	FIELD(milliCPU, INT),
	FIELD(memory, INT));

static SD_VARLINK_DEFINE_STRUCT_TYPE(GrantedLimits,
	COMMENT("Thousandths of a CPU; what is null here is limited by its session and the pool alone"),
	FIELD_OPT(milliCPU, INT),
	FIELD_OPT(memory, INT),
	FIELD_OPT(pids, INT));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Granted,
	FIELD(priority, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(requests, GrantedRequests, 0),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(limits, GrantedLimits, 0),
	COMMENT("Where requests.memory comes from, if it is not what was asked: \"640Mi: 95th percentile of 41 runs of pytest\""),
	FIELD_OPT(reason, STRING),
	COMMENT("How long it will probably take, from earlier runs"),
	FIELD_OPT(durationUSec, INT),
	FIELD_OPT(timeoutUSec, INT),
	COMMENT("What is left until then"),
	FIELD_OPT(deadlineUSec, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(latency, Latency, SD_VARLINK_NULLABLE),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(onPressure, OnPressure, 0),
	FIELD(detach, BOOL));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Killed,
	FIELD(call, STRING),
	SD_VARLINK_DEFINE_FIELD(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_ENUM_TYPE(ThreadClass,
	COMMENT("Feeds a GPU: before all others"),
	SD_VARLINK_DEFINE_ENUM_VALUE(gpu),
	COMMENT("As its group"),
	SD_VARLINK_DEFINE_ENUM_VALUE(auto));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Pool,
	COMMENT("Path of the pool's group below the cgroup mount"),
	FIELD(cgroup, STRING),
	FIELD(memoryMax, INT),
	FIELD(memoryCurrent, INT),
	COMMENT("Headroom that is always kept"),
	FIELD(reserve, INT),
	FIELD(headroom, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(enforcement, Enforcement, 0),
	COMMENT("Why enforcement is degraded, and what to do"),
	FIELD_OPT(reason, STRING),
	COMMENT("What the kernel's policy has done since it was loaded"),
	FIELD(counters, OBJECT),
	COMMENT("Who shares out CPU time"),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(scheduler, Scheduler, 0),
	COMMENT("CLOCK_REALTIME, if it is sched_ext"),
	FIELD_OPT(schedulerSinceUSec, INT),
	COMMENT("Why it is not sched_ext"),
	FIELD_OPT(schedulerReason, STRING));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Call,
	COMMENT("SESSION/tool-N, or SESSION/agent"),
	FIELD(call, STRING),
	FIELD(cgroup, STRING),
	COMMENT("As its client told it, cut to 256 bytes"),
	SD_VARLINK_DEFINE_FIELD(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY),
	FIELD(priority, INT),
	COMMENT("Bytes it is expected to need"),
	FIELD(request, INT),
	FIELD_OPT(memoryMax, INT),
	FIELD(memoryCurrent, INT),
	FIELD(memoryPeak, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(phase, Phase, 0),
	FIELD(heldUSec, INT),
	FIELD(holds, INT),
	FIELD_OPT(timeoutUSec, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(latency, Latency, SD_VARLINK_NULLABLE),
	COMMENT("What is left of the time until its deadline; 0 if that has passed"),
	FIELD_OPT(deadlineUSec, INT),
	COMMENT("It outlives its client"),
	FIELD_OPT(detached, BOOL),
	COMMENT("As BeginCall said"),
	FIELD_OPT(group, STRING),
	FIELD(ageUSec, INT));

static SD_VARLINK_DEFINE_ENUM_TYPE(AttachKind,
	COMMENT("What it starts between two reads of its input is one call"),
	SD_VARLINK_DEFINE_ENUM_VALUE(shell),
	COMMENT("Every program that it starts is a call"),
	SD_VARLINK_DEFINE_ENUM_VALUE(framework));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Attached,
	FIELD(pid, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(kind, AttachKind, 0),
	COMMENT("The call that the process itself is in"),
	FIELD(call, STRING),
	COMMENT("How many processes of its calls run in there, for want of a leaf or memory"),
	FIELD(unplaced, INT));
static SD_VARLINK_DEFINE_STRUCT_TYPE(Waiting,
	FIELD(session, STRING),
	SD_VARLINK_DEFINE_FIELD(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY),
	COMMENT("Among all that wait, from 1 on; one that fits may begin before one that does not"),
	FIELD(position, INT),
	FIELD(priority, INT),
	COMMENT("Bytes it is expected to need"),
	FIELD(request, INT),
	COMMENT("As BeginCall said"),
	FIELD_OPT(group, STRING),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(lacks, Lacks, 0),
	FIELD(waitingUSec, INT));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Session,
	FIELD(name, STRING),
	FIELD(cgroup, STRING),
	FIELD(uid, INT),
	COMMENT("The process with which it ends"),
	FIELD_OPT(pid, INT),
	FIELD(priority, INT),
	COMMENT("Bytes that its calls may use together; null: the pool's"),
	FIELD_OPT(budget, INT),
	FIELD(reserve, INT),
	FIELD(memoryCurrent, INT),
	COMMENT("What is left of the timeLeft of OpenSession, and how many of its callsLeft are to come"),
	FIELD_OPT(timeLeftUSec, INT),
	FIELD_OPT(callsLeft, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(calls, Call, SD_VARLINK_ARRAY),
	COMMENT("Processes whose calls get leaves without their doing"),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(attached, Attached, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Result,
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(outcome, Outcome, 0),
	FIELD(memoryPeak, INT),
	FIELD_OPT(memoryMax, INT),
	FIELD(request, INT),
	FIELD(heldUSec, INT),
	FIELD(holds, INT),
	FIELD(throttles, INT),
	FIELD(oomKills, INT),
	COMMENT("Processes and threads that could not be started"),
	FIELD(pidsExceeded, INT),
	COMMENT("What may help; null: nothing failed"),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(retry, Retry, SD_VARLINK_NULLABLE),
	COMMENT("What to request the next time, in bytes"),
	FIELD_OPT(suggestedRequest, INT),
	COMMENT("What happened and what to try, for a model to act on"),
	FIELD(text, STRING));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Finished,
	COMMENT("Counts the calls of the session that ended, anew with each start of the daemon"),
	FIELD(seq, INT),
	FIELD(call, STRING),
	SD_VARLINK_DEFINE_FIELD(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY),
	COMMENT("CLOCK_REALTIME"),
	FIELD_OPT(exitUSec, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(result, Result, 0));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Group,
	COMMENT("Its cgroup id, and that of the group above if that is listed too"),
	FIELD(id, INT),
	FIELD_OPT(parent, INT),
	COMMENT("SESSION, or SESSION/tool-N; null: a group that is not agentcg's, or another user's"),
	FIELD_OPT(name, STRING),
	FIELD(weight, INT),
	COMMENT("CPU time, descendants included"),
	FIELD(usageNSec, INT),
	COMMENT("auto, batch, interactive or gpu; this and what follows are null without sched_ext"),
	FIELD_OPT(class, STRING),
	COMMENT("Threads of its own and child groups that run or wait now"),
	FIELD_OPT(runnable, INT),
	COMMENT("cpu.max in thousandths of a CPU"),
	FIELD_OPT(limit, INT),
	COMMENT("Times that a thread was put on a CPU, and those of them out of turn"),
	FIELD_OPT(switches, INT),
	FIELD_OPT(fastRuns, INT),
	COMMENT("Times that cpu.max kept it from running"),
	FIELD_OPT(throttled, INT),
	COMMENT("Wake-ups, and how long it took until the thread ran; a session's are those of its calls"),
	FIELD_OPT(wakeups, INT),
	FIELD_OPT(p50USec, INT),
	FIELD_OPT(p95USec, INT),
	FIELD_OPT(p99USec, INT),
	FIELD_OPT(maxUSec, INT),
	COMMENT("Wake-ups by latency; four buckets to an octave from 4 us on, without the empty ones at the end"),
	SD_VARLINK_DEFINE_FIELD(histogram, SD_VARLINK_INT, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Allowed,
	COMMENT("Of one call, in bytes"),
	FIELD_OPT(memory, INT),
	COMMENT("Of one call, in thousandths of a CPU"),
	FIELD_OPT(milliCPU, INT),
	COMMENT("Of one call: processes and threads at once"),
	FIELD_OPT(pids, INT),
	COMMENT("Of one call"),
	FIELD_OPT(timeoutUSec, INT),
	FIELD(callsPerSession, INT),
	COMMENT("Of one session, that may outlive their clients"),
	FIELD(detachedCalls, INT),
	FIELD_OPT(sessions, INT),
	COMMENT("Bytes that all sessions may use together"),
	FIELD_OPT(budget, INT),
	COMMENT("In all sessions together"),
	FIELD_OPT(calls, INT));

static SD_VARLINK_DEFINE_METHOD(OpenSession,
	COMMENT("[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
	INPUT(name, STRING),
	COMMENT("0..1000, higher is more important; only root goes above the policy's"),
	INPUT_OPT(priority, INT),
	INPUT_OPT(budget, INT),
	INPUT_OPT(reserve, INT),
	COMMENT("Index of a pidfd of a process of the caller's own uid: when that ends, the session closes"),
	INPUT_OPT(pidFd, INT),
	COMMENT("A text with a unit, such as \"10m\", or \"none\": what it has left from now on for its calls, which are taken to run one "
		"after another. A call gets its share of that as timeout, as long as earlier runs of its kind took in proportion to "
		"those to come, and is told before it begins if that will probably not do. When the time is over calls are "
		"refused with LimitExceeded"),
	INPUT_OPT(timeLeft, ANY),
	COMMENT("How many calls are to come, as far as can be said; default: unknown, and each gets all that is left"),
	INPUT_OPT(callsLeft, INT),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(session, Session, 0),
	COMMENT("What was not granted as asked, and why"),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(CloseSession,
	INPUT(name, STRING),
	COMMENT("Also its detached calls"),
	INPUT_OPT(kill, BOOL),
	COMMENT("The calls in which something was still running"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(killed, Killed, SD_VARLINK_ARRAY),
	COMMENT("How many detached calls go on; the session goes with the last one"),
	OUTPUT(detached, INT));

static SD_VARLINK_DEFINE_METHOD(GetResults,
	INPUT(session, STRING),
	COMMENT("Only those that a model should know of (outcome neither ok nor throttled), and each only once"),
	INPUT_OPT(untold, BOOL),
	COMMENT("Only those with a retry"),
	INPUT_OPT(failed, BOOL),
	COMMENT("Oldest first"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(results, Finished, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(BeginCall,
	COMMENT("Default: uid-UID; one that does not exist is made for the call, with its priority"),
	INPUT_OPT(session, STRING),
	COMMENT("The agent framework itself: never held, never killed first"),
	INPUT_OPT(agent, BOOL),
	COMMENT("What runs in it may speak for its session, as the agent does, rather than be told InToolCall"),
	INPUT_OPT(mayControl, BOOL),
	SD_VARLINK_DEFINE_INPUT(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE),
	INPUT_OPT(priority, INT),
	COMMENT("An Intent; what is wrong with it is told by InvalidIntent"),
	INPUT_OPT(intent, OBJECT),
	COMMENT("True: rather than fail for a quota of calls, or begin what could only be held for memory, it waits, by priority, "
		"slack (deadline less duration) and arrival, until it may begin, and the reply comes then. That may take the policy's "
		"QueueTimeout, a minute as a rule: give the reply longer. Then it begins all the same, if memory is what it lacks, or "
		"fails with LimitExceeded. To hang up is to give up; after a restart of the daemon ask again. Do not wait for calls "
		"that only you can end"),
	INPUT_OPT(wait, BOOL),
	COMMENT("The calls of its session that it belongs to, those of one parallel step, say; a name as a session's, of 32 bytes at most"),
	INPUT_OPT(group, STRING),
	COMMENT("Calls (\"work/tool-3\") and groups of its session, 8 at most, that are to end before it begins; of a group those that "
		"asked to begin before it. It waits for them as long as they run, also without wait. Where one was killed it begins "
		"all the same, and notes say so. One that the session does not know, or not any more, is told by NoSuchCall"),
	SD_VARLINK_DEFINE_INPUT(after, SD_VARLINK_STRING, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE),
	OUTPUT(call, STRING),
	OUTPUT(cgroup, STRING),
	COMMENT("Index of the directory's descriptor, for CLONE_INTO_CGROUP"),
	OUTPUT(cgroupFd, INT),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(granted, Granted, 0),
	COMMENT("How long it has waited, if it has"),
	OUTPUT_OPT(queuedUSec, INT),
	COMMENT("What was not granted as asked, and why; what it has waited for; and, if the same is tried again and again, how it "
		"ended and what to change"),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(AdjustCall,
	INPUT(call, STRING),
	INPUT_OPT(priority, INT),
	COMMENT("An Intent; what is not in it stays as it is, what is wrong with it is told by InvalidIntent"),
	INPUT_OPT(intent, OBJECT),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(granted, Granted, 0),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(DeclareIntent,
	COMMENT("Default: uid-UID; it need not exist yet"),
	INPUT_OPT(session, STRING),
	COMMENT("An Intent, for the next call of the session that says itself nothing but timeout, on_pressure or detach, "
		"which go before those declared. Kept for ten minutes, until the daemon ends or the session is closed; "
		"used once. An empty one takes back what was declared"),
	INPUT(intent, OBJECT),
	COMMENT("Only for a call that does the same as this (its words may differ), of which four are kept; "
		"if nothing is said, whatever comes next"),
	SD_VARLINK_DEFINE_INPUT(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE),
	COMMENT("What it would be granted now; nothing is reserved by it"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(granted, Granted, 0),
	COMMENT("What would not be granted as asked, and why"),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(AttachProcess,
	INPUT(call, STRING),
	COMMENT("Index of a pidfd of a process of the caller's own uid"),
	INPUT(pidFd, INT));

static SD_VARLINK_DEFINE_METHOD(AttachSession,
	COMMENT("Default: uid-UID; one that does not exist is made, and goes with its last call"),
	INPUT_OPT(name, STRING),
	COMMENT("Index of a pidfd of a process of the caller's own uid; it moves to the session's leaf \"agent\""),
	INPUT(pidFd, INT),
	COMMENT("Default: what the process looks like"),
	SD_VARLINK_DEFINE_INPUT_BY_TYPE(kind, AttachKind, SD_VARLINK_NULLABLE),
	OUTPUT(session, STRING),
	OUTPUT(call, STRING),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(kind, AttachKind, 0),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(CreateTicket,
	COMMENT("Default: uid-UID; one that does not exist is made"),
	INPUT_OPT(session, STRING),
	SD_VARLINK_DEFINE_INPUT(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE),
	COMMENT("An Intent; what is wrong with it is told by InvalidIntent"),
	INPUT_OPT(intent, OBJECT),
	COMMENT("32 characters, good once, for processes of the caller's uid: \"agentcg enter TICKET\" moves the process that "
		"starts it into the call, also from a sandbox that has no sockets"),
	OUTPUT(ticket, STRING),
	OUTPUT(call, STRING),
	COMMENT("How long it is good"),
	OUTPUT(expiresUSec, INT),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(EndCall,
	INPUT(call, STRING),
	COMMENT("Also what a detached call has running"),
	INPUT_OPT(kill, BOOL),
	COMMENT("It is detached and goes on; the result is that so far"),
	OUTPUT_OPT(running, BOOL),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(result, Result, 0));

static SD_VARLINK_DEFINE_METHOD(EndGroup,
	INPUT(session, STRING),
	COMMENT("As BeginCall said; one that the session does not know, or not any more, is told by NoSuchCall"),
	INPUT(group, STRING),
	COMMENT("The calls in which something was still running. One that a connection holds is killed, and its client ends it and "
		"gets the result; the others are gone"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(killed, Killed, SD_VARLINK_ARRAY),
	COMMENT("How many waited to begin; their clients are told NoSuchCall with the group's name"),
	OUTPUT(cancelled, INT));

static SD_VARLINK_DEFINE_METHOD(ClaimCall,
	INPUT(call, STRING));

static SD_VARLINK_DEFINE_METHOD(GetStatus,
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(pool, Pool, 0),
	COMMENT("The caller's own; root sees all"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(sessions, Session, SD_VARLINK_ARRAY),
	COMMENT("Likewise: calls that wait to begin, in their order"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(waiting, Waiting, SD_VARLINK_ARRAY),
	COMMENT("For the caller, in a session that no section of the policy is about"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(allowed, Allowed, SD_VARLINK_NULLABLE));

static SD_VARLINK_DEFINE_METHOD(GetScheduler,
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(active, Scheduler, 0),
	COMMENT("CLOCK_REALTIME, if it is sched_ext"),
	OUTPUT_OPT(sinceUSec, INT),
	COMMENT("Why it is not sched_ext"),
	OUTPUT_OPT(reason, STRING),
	COMMENT("CLOCK_MONOTONIC, of the figures"),
	OUTPUT(timeNSec, INT),
	COMMENT("CPUs that are online"),
	OUTPUT(cpus, INT),
	COMMENT("What the scheduler has done since it was loaded"),
	OUTPUT_OPT(counters, OBJECT),
	COMMENT("The caller's sessions and calls (root: all), and without their names those that they compete with"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(groups, Group, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_STRUCT_TYPE(KindHistory,
	COMMENT("What such commands do, however they are spelt: pytest, git status, npm test"),
	FIELD(kind, STRING),
	COMMENT("The newest, 64 at most; what follows is of these"),
	FIELD(runs, INT),
	COMMENT("Those of them with the outcome oom_killed, timeout, killed_by_policy or pids_exceeded"),
	FIELD(failures, INT),
	COMMENT("Bytes; percentiles and the most that was seen. A run that was killed would have needed more"),
	FIELD(peakP50, INT),
	FIELD(peakP95, INT),
	FIELD(peakMax, INT),
	FIELD(durationP50USec, INT),
	FIELD(durationP95USec, INT),
	COMMENT("When the last one began, CLOCK_REALTIME"),
	FIELD(lastUSec, INT));

static SD_VARLINK_DEFINE_METHOD(GetHistory,
	COMMENT("Only the kind that this command is of"),
	SD_VARLINK_DEFINE_INPUT(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE),
	COMMENT("Only this kind"),
	INPUT_OPT(kind, STRING),
	COMMENT("At most so many kinds; default and maximum: 64"),
	INPUT_OPT(limit, INT),
	COMMENT("Whose; default: the caller's. PermissionDenied if it is another's, unless root asks"),
	INPUT_OPT(uid, INT),
	COMMENT("Those that ran last come first; empty if nothing of it ran, or nothing is kept"),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(kinds, KindHistory, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(SetThreadClass,
	COMMENT("As the host numbers it"),
	INPUT(tid, INT),
	SD_VARLINK_DEFINE_INPUT_BY_TYPE(class, ThreadClass, 0));

static SD_VARLINK_DEFINE_METHOD(Release,
	INPUT(call, STRING),
	COMMENT("How many tasks went on"),
	OUTPUT(woken, INT));

static SD_VARLINK_DEFINE_METHOD_FULL(Watch, SD_VARLINK_REQUIRES_MORE,
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(event, EventType, 0),
	COMMENT("SESSION/tool-N, or what the event is of"),
	OUTPUT(call, STRING),
	OUTPUT(text, STRING),
	COMMENT("Of that"),
	OUTPUT(memoryCurrent, INT),
	COMMENT("Headroom of the pool"),
	OUTPUT(headroom, INT),
	COMMENT("CLOCK_REALTIME"),
	OUTPUT(timeUSec, INT),
	COMMENT("Events that were skipped since the last one: the client reads too slowly"),
	OUTPUT_OPT(lost, INT));

static SD_VARLINK_DEFINE_METHOD(Reload,
	COMMENT("What could not be changed while it is in use"),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_ERROR(NoSuchSession, FIELD(name, STRING));
static SD_VARLINK_DEFINE_ERROR(NoSuchCall, FIELD(call, STRING));
static SD_VARLINK_DEFINE_ERROR(InvalidIntent,
	COMMENT("Such as limits.memory"),
	FIELD(field, STRING),
	COMMENT("What is wrong with it and what to say instead"),
	FIELD(reason, STRING));
static SD_VARLINK_DEFINE_ERROR(PermissionDenied, FIELD(reason, STRING));
static SD_VARLINK_DEFINE_ERROR(InToolCall,
	COMMENT("The one that the process runs in that asks. A tool call is told of its session, and may declare what the next one "
		"needs; it cannot begin calls, nor change any or the session. What it starts runs within its own limits: start it "
		"without asking; or ask from outside of it; or have the call begun with mayControl"),
	FIELD(call, STRING));
static SD_VARLINK_DEFINE_ERROR(LimitExceeded,
	COMMENT("What there is too much of: sessions, calls and the like: end some, or wait for their end. "
		"\"requests of one user per second\": wait for a second (the connection is not listened to for 100 ms). "
		"\"bytes of one message\", \"descriptors of one message\", \"bytes of all long messages\": send less at once; "
		"the connection is closed after these. Who does not read replies is not listened to until they are read; "
		"of who hangs up with requests unanswered, all but the first may not be done"),
	FIELD(what, STRING),
	FIELD(limit, INT));
static SD_VARLINK_DEFINE_ERROR(NotSupported, FIELD(reason, STRING));

#define ABOUT(symbol, text)	SD_VARLINK_SYMBOL_COMMENT(text), &symbol

SD_VARLINK_DEFINE_INTERFACE(
	io_agentcg,
	"io.agentcg",
	SD_VARLINK_INTERFACE_COMMENT("Memory and CPU time for the tool calls of AI agents. Sizes are bytes, times microseconds."),
	&vl_type_Enforcement,
	&vl_type_Phase,
	&vl_type_Outcome,
	&vl_type_EventType,
	&vl_type_Scheduler,
	&vl_type_Latency,
	&vl_type_ThreadClass,
	&vl_type_OnPressure,
	&vl_type_Retry,
	&vl_type_AttachKind,
	ABOUT(vl_type_Attached, "A process that is followed"),
	ABOUT(vl_type_Intent, "What a call is about to need; a wish, which the policy grants or cuts"),
	&vl_type_Requests,
	&vl_type_Limits,
	ABOUT(vl_type_Granted, "What a call got of its intent"),
	&vl_type_GrantedRequests,
	&vl_type_GrantedLimits,
	ABOUT(vl_type_Killed, "A call that was killed with its session or group"),
	ABOUT(vl_type_Allowed, "What the policy allows a user at most; null: as much as there is"),
	ABOUT(vl_type_Pool, "The memory that all sessions share"),
	ABOUT(vl_type_Call, "A tool call, in a group of its own"),
	ABOUT(vl_type_Waiting, "A call that waits to begin"),
	ABOUT(vl_type_Lacks, "What it waits for"),
	ABOUT(vl_type_Session, "One agent's session"),
	ABOUT(vl_type_Group, "A group that shares in the CPU time"),
	ABOUT(vl_type_Result, "What became of a call"),
	ABOUT(vl_type_Finished, "A call that has ended"),
	ABOUT(vl_type_KindHistory, "What the earlier calls of one kind needed"),
	ABOUT(vl_method_OpenSession, "Make a session, or change one's own"),
	ABOUT(vl_method_CloseSession, "Kill what is left of a session and remove it; detached calls go on"),
	ABOUT(vl_method_GetResults, "The last 16 calls of a session that ended since the daemon was started"),
	ABOUT(vl_method_BeginCall, "Make a group for a call; it lives as long as this connection, or is detached"),
	ABOUT(vl_method_DeclareIntent, "Say what the next call will need, for those whose calls are begun by somebody else"),
	ABOUT(vl_method_AdjustCall, "Change what a call asks for while it runs"),
	ABOUT(vl_method_AttachProcess, "Move a process into a call, for clients that may not clone into its group"),
	ABOUT(vl_method_AttachSession, "Give each call of a shell or framework that knows nothing of this a leaf of its own; "
	      "NotSupported: the kernel cannot"),
	ABOUT(vl_method_CreateTicket, "Begin a call for a command that cannot ask itself; NotSupported: the kernel cannot"),
	ABOUT(vl_method_EndCall, "Kill what is left of a call, tell how it went; then its group is removed"),
	ABOUT(vl_method_EndGroup, "Kill the calls of a group, and let none begin that waits; detached ones, too"),
	ABOUT(vl_method_ClaimCall, "Tie a call to this connection, after the daemon was restarted"),
	ABOUT(vl_method_GetStatus, "The pool and the sessions"),
	ABOUT(vl_method_GetScheduler, "Who shares out CPU time, and what each group had of it, all of one moment"),
	ABOUT(vl_method_GetHistory, "What a user's earlier calls needed, by kind of command"),
	ABOUT(vl_method_SetThreadClass, "Declare a thread that feeds a GPU, until it or the scheduler ends; root only"),
	ABOUT(vl_method_Release, "Let a held call go on now"),
	ABOUT(vl_method_Watch, "Events as they happen"),
	ABOUT(vl_method_Reload, "Read the policy again; root only"),
	&vl_error_NoSuchSession,
	&vl_error_NoSuchCall,
	&vl_error_InvalidIntent,
	&vl_error_PermissionDenied,
	&vl_error_InToolCall,
	&vl_error_LimitExceeded,
	&vl_error_NotSupported);
