// SPDX-License-Identifier: GPL-2.0-only
#include "io-agentcg-gpu.h"

#define COMMENT(text)		SD_VARLINK_FIELD_COMMENT(text)
#define FIELD(n, t)		SD_VARLINK_DEFINE_FIELD(n, SD_VARLINK_##t, 0)
#define FIELD_OPT(n, t)		SD_VARLINK_DEFINE_FIELD(n, SD_VARLINK_##t, SD_VARLINK_NULLABLE)
#define INPUT(n, t)		SD_VARLINK_DEFINE_INPUT(n, SD_VARLINK_##t, 0)
#define INPUT_OPT(n, t)		SD_VARLINK_DEFINE_INPUT(n, SD_VARLINK_##t, SD_VARLINK_NULLABLE)
#define OUTPUT(n, t)		SD_VARLINK_DEFINE_OUTPUT(n, SD_VARLINK_##t, 0)
#define OUTPUT_OPT(n, t)	SD_VARLINK_DEFINE_OUTPUT(n, SD_VARLINK_##t, SD_VARLINK_NULLABLE)

static SD_VARLINK_DEFINE_ENUM_TYPE(Role,
	SD_VARLINK_DEFINE_ENUM_VALUE(both),
	SD_VARLINK_DEFINE_ENUM_VALUE(prefill),
	SD_VARLINK_DEFINE_ENUM_VALUE(decode));

static SD_VARLINK_DEFINE_ENUM_TYPE(State,
	SD_VARLINK_DEFINE_ENUM_VALUE(starting),
	SD_VARLINK_DEFINE_ENUM_VALUE(running),
	COMMENT("Its engine does not answer"),
	SD_VARLINK_DEFINE_ENUM_VALUE(hung),
	SD_VARLINK_DEFINE_ENUM_VALUE(gpu_lost),
	SD_VARLINK_DEFINE_ENUM_VALUE(gone));

static SD_VARLINK_DEFINE_ENUM_TYPE(BoundBy,
	SD_VARLINK_DEFINE_ENUM_VALUE(unknown),
	COMMENT("The GPU waits for launches"),
	SD_VARLINK_DEFINE_ENUM_VALUE(cpu),
	SD_VARLINK_DEFINE_ENUM_VALUE(gpu));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Gpu,
	FIELD(index, INT),
	FIELD(uuid, STRING),
	FIELD(name, STRING),
	COMMENT("PCI address"),
	FIELD(pci, STRING),
	COMMENT("NUMA node; null: unknown"),
	FIELD_OPT(node, INT),
	FIELD(memoryTotal, INT),
	FIELD(memoryUsed, INT),
	COMMENT("Percent of the time in which a kernel ran"),
	FIELD(busy, INT),
	COMMENT("It fell off the bus or needs a reset"),
	FIELD(lost, BOOL),
	COMMENT("Workers on it"),
	SD_VARLINK_DEFINE_FIELD(workers, SD_VARLINK_STRING, SD_VARLINK_ARRAY),
	COMMENT("Processes on it that no worker is of"),
	SD_VARLINK_DEFINE_FIELD(others, SD_VARLINK_INT, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Launches,
	COMMENT("Since it is measured, by their rate in the windows of time in which it is looked"),
	FIELD(launches, INT),
	COMMENT("Of those in windows, those before which the thread had been woken or preempted"),
	FIELD(sampled, INT),
	COMMENT("Of these, from being runnable to the launch"),
	FIELD_OPT(p50NSec, INT),
	FIELD_OPT(p99NSec, INT),
	COMMENT("Total launch and queueing time a second (TKLQT), as the host sees it: in launches, and waiting for the GPU"),
	FIELD_OPT(tklqtNSec, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(boundBy, BoundBy, 0),
	COMMENT("Why it is not measured now"),
	FIELD_OPT(reason, STRING));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Inference,
	COMMENT("Requests that run, and that wait"),
	FIELD_OPT(running, INT),
	FIELD_OPT(waiting, INT),
	COMMENT("Of the last interval"),
	FIELD_OPT(ttftUSec, INT),
	FIELD_OPT(tokenUSec, INT),
	FIELD_OPT(tokensPerSecond, FLOAT),
	COMMENT("How much tool calls give up for it now: 0 (nothing) to 5"),
	FIELD(yield, INT),
	FIELD_OPT(reason, STRING));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Cache,
	FIELD(session, STRING),
	FIELD_OPT(slot, INT),
	FIELD_OPT(tokens, INT),
	COMMENT("In a tool call for so long"),
	FIELD_OPT(pausedUSec, INT),
	COMMENT("kept, offloaded or dropped"),
	FIELD(kv, STRING));

static SD_VARLINK_DEFINE_STRUCT_TYPE(Worker,
	FIELD(name, STRING),
	FIELD(uid, INT),
	FIELD_OPT(pid, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(state, State, 0),
	COMMENT("Of a state that is not running, and of what could not be put in force"),
	FIELD_OPT(reason, STRING),
	COMMENT("unknown, vllm, sglang, trtllm or llama-server"),
	FIELD(engine, STRING),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(role, Role, 0),
	FIELD(priority, INT),
	COMMENT("UUIDs"),
	SD_VARLINK_DEFINE_FIELD(gpus, SD_VARLINK_STRING, SD_VARLINK_ARRAY),
	FIELD_OPT(url, STRING),
	COMMENT("Path of its group below the cgroup mount; null: it has none"),
	FIELD_OPT(cgroup, STRING),
	COMMENT("CPUs, as \"2-3,6-7\"; nobody else runs there if exclusive"),
	FIELD(cpus, STRING),
	FIELD(exclusive, BOOL),
	FIELD(cores, INT),
	COMMENT("Why these"),
	FIELD(placement, STRING),
	COMMENT("Nodes of its memory, and of what it may offload to"),
	FIELD(mems, STRING),
	FIELD(farMems, STRING),
	FIELD_OPT(node, INT),
	COMMENT("Bytes"),
	FIELD(memoryCurrent, INT),
	FIELD(memoryProtected, INT),
	COMMENT("Of host memory, not reclaimable; and of that, what no group is charged for"),
	FIELD(memoryPinned, INT),
	FIELD(memoryUncharged, INT),
	FIELD_OPT(mpsShare, INT),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(launches, Launches, SD_VARLINK_NULLABLE),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(inference, Inference, SD_VARLINK_NULLABLE),
	SD_VARLINK_DEFINE_FIELD_BY_TYPE(caches, Cache, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE));

static SD_VARLINK_DEFINE_METHOD(StartWorker,
	COMMENT("Default: made of the command. [A-Za-z0-9][A-Za-z0-9_.-]{0,63}"),
	INPUT_OPT(name, STRING),
	SD_VARLINK_DEFINE_INPUT(command, SD_VARLINK_STRING, SD_VARLINK_ARRAY),
	COMMENT("Indices or UUIDs; default: all, or none where there is no GPU"),
	SD_VARLINK_DEFINE_INPUT(gpus, SD_VARLINK_STRING, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE),
	SD_VARLINK_DEFINE_INPUT_BY_TYPE(role, Role, SD_VARLINK_NULLABLE),
	INPUT_OPT(priority, INT),
	COMMENT("Whole cores; default: its GPUs' part of their node"),
	INPUT_OPT(cores, INT),
	COMMENT("Bytes, or \"8Gi\", that are protected (memory.min); default: what it uses, with its pinned memory"),
	INPUT_OPT(memory, ANY),
	COMMENT("Bytes, or \"8Gi\", of host huge pages on its node"),
	INPUT_OPT(hugePages, ANY),
	COMMENT("Percent of the GPU's threads (CUDA_MPS_ACTIVE_THREAD_PERCENTAGE)"),
	INPUT_OPT(mpsShare, INT),
	COMMENT("Where its engine serves HTTP; default: by its command"),
	INPUT_OPT(url, STRING),
	COMMENT("The caller is moved into the worker's group and is to execute the command with these in its environment"),
	OUTPUT(worker, STRING),
	SD_VARLINK_DEFINE_OUTPUT(environment, SD_VARLINK_STRING, SD_VARLINK_ARRAY),
	COMMENT("CPUs and nodes, for a caller that has to bind itself, because no group does"),
	OUTPUT(cpus, STRING),
	OUTPUT(mems, STRING),
	OUTPUT(bindYourself, BOOL),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(AttachWorker,
	COMMENT("Index of a pidfd; all processes below it come along"),
	INPUT(pidFd, INT),
	INPUT_OPT(name, STRING),
	SD_VARLINK_DEFINE_INPUT(gpus, SD_VARLINK_STRING, SD_VARLINK_ARRAY | SD_VARLINK_NULLABLE),
	SD_VARLINK_DEFINE_INPUT_BY_TYPE(role, Role, SD_VARLINK_NULLABLE),
	INPUT_OPT(priority, INT),
	INPUT_OPT(cores, INT),
	INPUT_OPT(memory, ANY),
	INPUT_OPT(url, STRING),
	OUTPUT(worker, STRING),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(AdjustWorker,
	INPUT(worker, STRING),
	INPUT_OPT(cores, INT),
	INPUT_OPT(memory, ANY),
	INPUT_OPT(priority, INT),
	SD_VARLINK_DEFINE_INPUT_BY_TYPE(role, Role, SD_VARLINK_NULLABLE),
	INPUT_OPT(url, STRING),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(EndWorker,
	INPUT(worker, STRING),
	COMMENT("Kill its processes; without it only its placement is given back, and they go on"),
	INPUT_OPT(kill, BOOL));

static SD_VARLINK_DEFINE_METHOD(GetWorkers,
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(gpus, Gpu, SD_VARLINK_ARRAY),
	SD_VARLINK_DEFINE_OUTPUT_BY_TYPE(workers, Worker, SD_VARLINK_ARRAY),
	COMMENT("Why no GPU is seen"),
	OUTPUT_OPT(reason, STRING),
	COMMENT("CPUs that tool calls may use"),
	OUTPUT(callCpus, STRING),
	COMMENT("What is not in force, and why"),
	SD_VARLINK_DEFINE_OUTPUT(notes, SD_VARLINK_STRING, SD_VARLINK_ARRAY));

static SD_VARLINK_DEFINE_METHOD(BindSession,
	COMMENT("Of io.agentcg; its tool calls pause what it holds in the worker"),
	INPUT(session, STRING),
	INPUT(worker, STRING),
	COMMENT("Where its cache is in there (llama-server: the slot)"),
	INPUT_OPT(slot, INT),
	INPUT_OPT(tokens, INT));

static SD_VARLINK_DEFINE_METHOD(UnbindSession,
	INPUT(session, STRING));

static SD_VARLINK_DEFINE_METHOD_FULL(WatchWorkers, SD_VARLINK_REQUIRES_MORE,
	COMMENT("paused, resumed, kept, offloaded, dropped, restored, recomputed, state"),
	OUTPUT(event, STRING),
	OUTPUT(worker, STRING),
	OUTPUT_OPT(session, STRING),
	COMMENT("How long the tool call will probably take, of a pause"),
	OUTPUT_OPT(expectedUSec, INT),
	OUTPUT(text, STRING),
	OUTPUT(timeUSec, INT),
	OUTPUT_OPT(lost, INT));

static SD_VARLINK_DEFINE_ERROR(NoSuchWorker, FIELD(worker, STRING));
static SD_VARLINK_DEFINE_ERROR(NoSuchGpu, FIELD(gpu, STRING), FIELD(reason, STRING));
static SD_VARLINK_DEFINE_ERROR(CannotPlace, FIELD(reason, STRING));

SD_VARLINK_DEFINE_INTERFACE(io_agentcg_gpu, "io.agentcg.gpu",
	SD_VARLINK_INTERFACE_COMMENT("GPU inference workers: found, placed, shielded, told when their agents are in a tool call. "
		"What changes something takes root; sessions are bound by their owners. Errors of io.agentcg are used, too"),
	SD_VARLINK_SYMBOL_COMMENT("What a worker does"),
	&vl_type_Role,
	&vl_type_State,
	&vl_type_BoundBy,
	&vl_type_Gpu,
	&vl_type_Launches,
	&vl_type_Inference,
	&vl_type_Cache,
	&vl_type_Worker,
	SD_VARLINK_SYMBOL_COMMENT("Place a worker that is about to start: the caller"),
	&vl_method_StartWorker,
	SD_VARLINK_SYMBOL_COMMENT("Place one that runs"),
	&vl_method_AttachWorker,
	SD_VARLINK_SYMBOL_COMMENT("Resize it while it runs"),
	&vl_method_AdjustWorker,
	SD_VARLINK_SYMBOL_COMMENT("Give back what it has"),
	&vl_method_EndWorker,
	SD_VARLINK_SYMBOL_COMMENT("GPUs and workers, as they are now"),
	&vl_method_GetWorkers,
	SD_VARLINK_SYMBOL_COMMENT("Say where a session's KV cache is"),
	&vl_method_BindSession,
	&vl_method_UnbindSession,
	SD_VARLINK_SYMBOL_COMMENT("Events as they happen"),
	&vl_method_WatchWorkers,
	&vl_error_NoSuchWorker,
	&vl_error_NoSuchGpu,
	&vl_error_CannotPlace);
