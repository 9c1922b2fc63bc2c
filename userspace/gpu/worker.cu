// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small inference worker for tests and measurements on a GPU: what it computes
 * is nothing, how it uses GPU and host is what engines do.
 *
 *	prompt	a few large launches (prefill), then the first token
 *	token	for each layer some small launches, one by one or as one graph; the logits come to the host,
 *		which picks a token from them and starts the next step: the GPU waits for the CPU in between
 *	cache	KV memory on the GPU that grows with the tokens, saved to pinned host memory and restored
 *
 * Prints one line of JSON.  With --stages it says what it has got so far, one line each, and goes on when it
 * reads one: whoever measures its memory looks in between.
 */
#include <cuda_runtime.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define VOCABULARY	32000
#define LAUNCHES	4	/* of a layer */
#define THREADS		128

static struct {
	int requests, prompt, tokens, layers, width;
	long kv_mib, pinned_mib;
	bool graph, stages;
} o = { 8, 512, 256, 24, 2048, 256, 256, false, false };

static void check(cudaError_t error, const char *what)
{
	if (error == cudaSuccess)
		return;
	fprintf(stderr, "gpu-worker: %s: %s\n", what, cudaGetErrorString(error));
	exit(error == cudaErrorNoDevice || error == cudaErrorInsufficientDriver ? 77 : 1);
}

#define TRY(call)	check((call), #call)

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

/* One row for each block, as in decoding. */
__global__ void multiply(const float *weights, const float *in, float *out, int width)
{
	__shared__ float part[THREADS];
	const float *row = weights + (size_t)blockIdx.x * width;
	float sum = 0;

	for (int i = threadIdx.x; i < width; i += THREADS)
		sum += row[i] * in[i];
	part[threadIdx.x] = sum;
	__syncthreads();
	for (int half = THREADS / 2; half; half /= 2) {
		if (threadIdx.x < half)
			part[threadIdx.x] += part[threadIdx.x + half];
		__syncthreads();
	}
	if (threadIdx.x == 0)
		out[blockIdx.x] = tanhf(part[0]);
}

__global__ void remember(float *kv, const float *in, const int *position, int width, size_t slots)
{
	int i = blockIdx.x * THREADS + threadIdx.x;

	if (i < width)
		kv[((size_t)*position % slots) * width + i] = in[i];
}

__global__ void speak(const float *in, float *logits, const int *position, int width)
{
	int i = blockIdx.x * THREADS + threadIdx.x;

	if (i < VOCABULARY)
		logits[i] = in[i % width] * __sinf((float)(i ^ *position));
}

__global__ void advance(int *position)
{
	++*position;
}

/* Prefill: all tokens of the prompt at once. */
__global__ void absorb(const float *weights, float *kv, int width, int tokens, size_t slots)
{
	int token = blockIdx.y;
	const float *row = weights + (size_t)blockIdx.x * width;
	float sum = 0;

	for (int i = threadIdx.x; i < width; i += THREADS)
		sum += row[i] * (float)((token + i) & 7);
	if (token < tokens)
		atomicAdd(&kv[((size_t)token % slots) * width + blockIdx.x], sum);
}

struct gpu {
	float *weights, *a, *b, *kv, *logits, *host_logits, *host_kv;
	int *position;
	size_t kv_bytes, slots;
	cudaStream_t stream;
	cudaGraphExec_t step;
};

static void stage(const char *what)
{
	char line[16];

	if (!o.stages)
		return;
	printf("stage %s\n", what);
	fflush(stdout);
	if (!fgets(line, sizeof(line), stdin))
		exit(1);
}

static void set_up(struct gpu *g)
{
	TRY(cudaSetDevice(0));
	TRY(cudaFree(NULL));
	stage("context");
	g->kv_bytes = (size_t)o.kv_mib << 20;
	g->slots = g->kv_bytes / sizeof(float) / o.width;
	TRY(cudaMalloc(&g->weights, (size_t)o.width * o.width * sizeof(float)));
	TRY(cudaMemset(g->weights, 1, (size_t)o.width * o.width * sizeof(float)));
	TRY(cudaMalloc(&g->a, o.width * sizeof(float)));
	TRY(cudaMalloc(&g->b, o.width * sizeof(float)));
	TRY(cudaMemset(g->a, 1, o.width * sizeof(float)));
	TRY(cudaMalloc(&g->kv, g->kv_bytes));
	TRY(cudaMemset(g->kv, 0, g->kv_bytes));
	TRY(cudaMalloc(&g->logits, VOCABULARY * sizeof(float)));
	TRY(cudaMalloc(&g->position, sizeof(int)));
	TRY(cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking));
	TRY(cudaMallocHost(&g->host_logits, VOCABULARY * sizeof(float)));
	stage("device");
	TRY(cudaMallocHost(&g->host_kv, (size_t)o.pinned_mib << 20));
	stage("pinned");
}

static void launch_step(struct gpu *g)
{
	float *in = g->a, *out = g->b;

	for (int layer = 0; layer < o.layers; layer++) {
		for (int i = 0; i < LAUNCHES - 1; i++) {
			float *swap = in;

			multiply<<<o.width, THREADS, 0, g->stream>>>(g->weights, in, out, o.width);
			in = out;
			out = swap;
		}
		remember<<<(o.width + THREADS - 1) / THREADS, THREADS, 0, g->stream>>>(g->kv, in, g->position, o.width, g->slots);
	}
	speak<<<(VOCABULARY + THREADS - 1) / THREADS, THREADS, 0, g->stream>>>(in, g->logits, g->position, o.width);
	advance<<<1, 1, 0, g->stream>>>(g->position);
	check(cudaMemcpyAsync(g->host_logits, g->logits, VOCABULARY * sizeof(float), cudaMemcpyDeviceToHost, g->stream), "copy of logits");
}

static void record_step(struct gpu *g)
{
	cudaGraph_t graph;

	TRY(cudaStreamBeginCapture(g->stream, cudaStreamCaptureModeThreadLocal));
	launch_step(g);
	TRY(cudaStreamEndCapture(g->stream, &graph));
	TRY(cudaGraphInstantiate(&g->step, graph, 0));
	TRY(cudaGraphDestroy(graph));
}

/* What the host does between two steps. */
static int pick(const float *logits)
{
	int best = 0;

	for (int i = 1; i < VOCABULARY; i++)
		if (logits[i] > logits[best])
			best = i;
	return best;
}

static int token(struct gpu *g)
{
	if (o.graph)
		TRY(cudaGraphLaunch(g->step, g->stream));
	else
		launch_step(g);
	TRY(cudaStreamSynchronize(g->stream));
	TRY(cudaGetLastError());
	return pick(g->host_logits);
}

static void prefill(struct gpu *g)
{
	dim3 grid(o.width, o.prompt);

	TRY(cudaMemsetAsync(g->position, 0, sizeof(int), g->stream));
	for (int layer = 0; layer < o.layers; layer += 4)
		absorb<<<grid, THREADS, 0, g->stream>>>(g->weights, g->kv, o.width, o.prompt, g->slots);
}

static uint64_t checksum(const void *p, size_t bytes)
{
	const uint64_t *v = (const uint64_t *)p;
	uint64_t sum = 0;

	for (size_t i = 0; i < bytes / 8; i++)
		sum = sum * 31 + v[i];
	return sum;
}

/* To the host, something else in its place, and back; whether it is the same. */
static bool save_and_restore(struct gpu *g, double *save, double *restore)
{
	size_t bytes = g->kv_bytes < ((size_t)o.pinned_mib << 20) ? g->kv_bytes : (size_t)o.pinned_mib << 20;
	double t = now_ms();
	uint64_t before;

	TRY(cudaMemcpyAsync(g->host_kv, g->kv, bytes, cudaMemcpyDeviceToHost, g->stream));
	TRY(cudaStreamSynchronize(g->stream));
	*save = now_ms() - t;
	before = checksum(g->host_kv, bytes);
	TRY(cudaMemsetAsync(g->kv, 0xff, bytes, g->stream));
	TRY(cudaStreamSynchronize(g->stream));
	t = now_ms();
	TRY(cudaMemcpyAsync(g->kv, g->host_kv, bytes, cudaMemcpyHostToDevice, g->stream));
	TRY(cudaStreamSynchronize(g->stream));
	*restore = now_ms() - t;
	memset(g->host_kv, 0, bytes);
	TRY(cudaMemcpy(g->host_kv, g->kv, bytes, cudaMemcpyDeviceToHost));
	return checksum(g->host_kv, bytes) == before;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double quantile(double *values, int n, double q)
{
	int i = (int)(n * q);

	qsort(values, n, sizeof(*values), by_size);
	return n ? values[i < n ? i : n - 1] : 0;
}

static long number(const char *option, const char *value, long max)
{
	char *end;
	long n = value ? strtol(value, &end, 10) : 0;

	if (!value || end == value || *end || n < 1 || n > max) {
		fprintf(stderr, "gpu-worker: %s needs a number from 1 to %ld\n", option, max);
		exit(2);
	}
	return n;
}

static void options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *a = argv[i];

		if (!strcmp(a, "--graph"))
			o.graph = true;
		else if (!strcmp(a, "--stages"))
			o.stages = true;
		else if (!strcmp(a, "--requests"))
			o.requests = number(a, argv[++i], 1000);
		else if (!strcmp(a, "--tokens"))
			o.tokens = number(a, argv[++i], 1000);
		else if (!strcmp(a, "--prompt"))
			o.prompt = number(a, argv[++i], 65535);
		else if (!strcmp(a, "--layers"))
			o.layers = number(a, argv[++i], 200);
		else if (!strcmp(a, "--width"))
			o.width = number(a, argv[++i], 16384);
		else if (!strcmp(a, "--kv-mib"))
			o.kv_mib = number(a, argv[++i], 65536);
		else if (!strcmp(a, "--pinned-mib"))
			o.pinned_mib = number(a, argv[++i], 65536);
		else {
			fprintf(stderr, "usage: gpu-worker [--requests N] [--tokens N] [--prompt N] [--layers N] [--width N]\n"
				"                  [--kv-mib N] [--pinned-mib N] [--graph] [--stages]\n");
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	double *tokens, *firsts, save, restore;
	struct gpu g = {};
	int n = 0, said = 0;
	bool same;

	options(argc, argv);
	tokens = (double *)calloc((size_t)o.requests * o.tokens, sizeof(*tokens));
	firsts = (double *)calloc(o.requests, sizeof(*firsts));
	stage("start");
	set_up(&g);
	if (o.graph)
		record_step(&g);
	prefill(&g);
	for (int i = 0; i < 20; i++)
		said += token(&g);
	for (int r = 0; r < o.requests; r++) {
		double t = now_ms();

		prefill(&g);
		said += token(&g);
		firsts[r] = now_ms() - t;
		for (int i = 1; i < o.tokens; i++) {
			t = now_ms();
			said += token(&g);
			tokens[n++] = now_ms() - t;
		}
	}
	same = save_and_restore(&g, &save, &restore);
	stage("end");
	printf("{\"tokens\": %d, \"launches\": %d, \"token_p50_ms\": %.4f, \"token_p99_ms\": %.4f, \"token_max_ms\": %.4f, "
	       "\"ttft_p50_ms\": %.4f, \"ttft_max_ms\": %.4f, \"save_ms\": %.3f, \"restore_ms\": %.3f, \"restored\": %s, \"said\": %d}\n",
	       n, o.graph ? 1 : o.layers * LAUNCHES + 2, quantile(tokens, n, 0.5), quantile(tokens, n, 0.99), quantile(tokens, n, 1),
	       quantile(firsts, o.requests, 0.5), quantile(firsts, o.requests, 1), save, restore, same ? "true" : "false", said);
	return !same;
}
