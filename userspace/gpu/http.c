// SPDX-License-Identifier: GPL-2.0-only
/*
 * libcurl tells by two callbacks which sockets it wants watched and when it wants to
 * be called; both become event sources, and their events go back into it.  What has
 * ended is only noted there, and told from a source of its own: whoever is told may send, cancel and
 * free at will.
 *
 * Names are resolved by libcurl's threads.  Nothing of the environment has a say: no
 * proxy, no redirect, no protocol but http and https.
 */
#include "http.h"

#include <curl/curl.h>
#include <sys/epoll.h>

struct socket_watch {
	struct http *h;
	sd_event_source *source;
};

struct http_request {
	struct http *h;
	struct http_request *prev, *next;
	CURL *curl;
	struct curl_slist *headers;
	char *json;
	char *body;
	size_t size;
	bool too_long;
	bool ended;
	int result;			/* of one that has: HTTP's status or a negative errno */
	char why[CURL_ERROR_SIZE];
	http_done_t done;
	void *userdata;
};

struct http {
	sd_event *event;
	CURLM *multi;
	sd_event_source *timer, *tell;
	struct http_request *requests;
	unsigned int nr;
	bool inside;			/* telling: it is freed afterwards */
	bool dead;
};

/* ---- ends -------------------------------------------------------------------- */

static void free_request(struct http_request *q)
{
	struct http *h = q->h;

	if (q->next)
		q->next->prev = q->prev;
	*(q->prev ? &q->prev->next : &h->requests) = q->next;
	h->nr--;
	if (q->curl) {
		curl_multi_remove_handle(h->multi, q->curl);
		curl_easy_cleanup(q->curl);
	}
	curl_slist_free_all(q->headers);
	free(q->json);
	free(q->body);
	free(q);
}

static int error_of(const struct http_request *q, CURLcode code)
{
	if (q->too_long)
		return -EMSGSIZE;
	switch (code) {
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return -ECONNRESET;
	default:
		return -EPROTO;
	}
}

static void note_ended(struct http_request *q, CURLcode code)
{
	long status = 0;

	if (code == CURLE_OK)
		curl_easy_getinfo(q->curl, CURLINFO_RESPONSE_CODE, &status);
	q->ended = true;
	/* A server may claim any number. */
	q->result = code != CURLE_OK ? error_of(q, code) : status >= 100 && status <= 599 ? (int)status : -EPROTO;
	if (q->too_long)
		snprintf(q->why, sizeof(q->why), "an answer of more than %llu bytes", AGENTCG_HTTP_BODY_MAX);
	else if (code != CURLE_OK && !*q->why)
		snprintf(q->why, sizeof(q->why), "%s", curl_easy_strerror(code));
}

static void look_for_ended(struct http *h)
{
	struct http_request *q;
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(h->multi, &left))) {
		if (message->msg != CURLMSG_DONE ||
		    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &q) != CURLE_OK)
			continue;
		note_ended(q, message->data.result);
		sd_event_source_set_enabled(h->tell, SD_EVENT_ONESHOT);
	}
}

static void tell(struct http_request *q)
{
	http_done_t done = q->done;
	void *userdata = q->userdata;
	int result = q->result;
	char *body = result < 0 ? strdup(q->why) : TAKE_PTR(q->body);
	size_t size = result < 0 ? strlen(body ?: "") : q->size;

	free_request(q);
	if (done)
		done(result, body ?: "", size, userdata);
	free(body);
}

static struct http_request *first_ended(struct http *h)
{
	struct http_request *q = h->requests;

	while (q && !q->ended)
		q = q->next;
	return q;
}

static struct http *free_all(struct http *h)
{
	while (h->requests) {
		struct http_request *q = h->requests;

		if (!q->ended) {
			q->result = -ECANCELED;
			snprintf(q->why, sizeof(q->why), "canceled");
		}
		tell(q);
	}
	if (h->multi)
		curl_multi_cleanup(h->multi);
	sd_event_source_disable_unref(h->timer);
	sd_event_source_disable_unref(h->tell);
	sd_event_unref(h->event);
	free(h);
	return NULL;
}

static int on_tell(sd_event_source *source, void *userdata)
{
	struct http *h = userdata;
	struct http_request *q;

	h->inside = true;
	while (!h->dead && (q = first_ended(h)))
		tell(q);
	h->inside = false;
	if (h->dead)
		free_all(h);
	return 0;
}

/* ---- events --------------------------------------------------------------------- */

static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct socket_watch *w = userdata;
	struct http *h = w->h;
	int running, what = 0;

	if (revents & EPOLLIN)
		what |= CURL_CSELECT_IN;
	if (revents & EPOLLOUT)
		what |= CURL_CSELECT_OUT;
	if (revents & (EPOLLERR | EPOLLHUP))
		what |= CURL_CSELECT_ERR;
	/* This may free @w. */
	curl_multi_socket_action(h->multi, fd, what, &running);
	look_for_ended(h);
	return 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct http *h = userdata;
	int running;

	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	look_for_ended(h);
	return 0;
}

static int watch_socket(CURL *curl, curl_socket_t fd, int what, void *userdata, void *socket_data)
{
	struct socket_watch *w = socket_data;
	struct http *h = userdata;
	uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);

	if (what == CURL_POLL_REMOVE) {
		if (w)
			sd_event_source_disable_unref(w->source);
		free(w);
		curl_multi_assign(h->multi, fd, NULL);
		return 0;
	}
	if (w)
		return sd_event_source_set_io_events(w->source, events) < 0 ? -1 : 0;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -1;
	w->h = h;
	if (sd_event_add_io(h->event, &w->source, fd, events, on_socket, w) < 0) {
		free(w);
		return -1;
	}
	curl_multi_assign(h->multi, fd, w);
	return 0;
}

static int set_timer(CURLM *multi, long ms, void *userdata)
{
	struct http *h = userdata;

	if (ms < 0)
		return sd_event_source_set_enabled(h->timer, SD_EVENT_OFF) < 0 ? -1 : 0;
	if (sd_event_source_set_time_relative(h->timer, (uint64_t)ms * USEC_PER_MSEC) < 0)
		return -1;
	return sd_event_source_set_enabled(h->timer, SD_EVENT_ONESHOT) < 0 ? -1 : 0;
}

int agentcg_http_new(sd_event *event, struct http **ret)
{
	struct http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->event = sd_event_ref(event);
	h->multi = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;
	r = h->multi ? 0 : -ENOMEM;
	if (!r)
		r = sd_event_add_time_relative(event, &h->timer, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_timer, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->timer, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_event_add_defer(event, &h->tell, on_tell, h);
	if (r >= 0)
		r = sd_event_source_set_enabled(h->tell, SD_EVENT_OFF);
	if (r < 0) {
		free_all(h);
		return r;
	}
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	/* An idle connection would be a file for each engine; they are near. */
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, 8L);
	*ret = h;
	return 0;
}

struct http *agentcg_http_free(struct http *h)
{
	if (!h)
		return NULL;
	h->dead = true;
	return h->inside ? NULL : free_all(h);
}

/* ---- requests ------------------------------------------------------------------- */

static size_t take_body(char *data, size_t one, size_t n, void *userdata)
{
	struct http_request *q = userdata;
	char *grown;

	if (q->size + n > AGENTCG_HTTP_BODY_MAX) {
		q->too_long = true;
		return 0;
	}
	grown = realloc(q->body, q->size + n + 1);
	if (!grown)
		return 0;
	memcpy(grown + q->size, data, n);
	q->body = grown;
	q->size += n;
	grown[q->size] = 0;
	return n;
}

static bool set_up(struct http_request *q, const char *url, uint64_t timeout_usec)
{
	CURL *c = q->curl;
	bool ok = true;

	ok &= !curl_easy_setopt(c, CURLOPT_URL, url);
	ok &= !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	ok &= !curl_easy_setopt(c, CURLOPT_PROXY, "");
	ok &= !curl_easy_setopt(c, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	ok &= !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	ok &= !curl_easy_setopt(c, CURLOPT_HTTP09_ALLOWED, 0L);
	ok &= !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	/* One that is ended while its name is looked up does not wait for that thread. */
	ok &= !curl_easy_setopt(c, CURLOPT_QUICK_EXIT, 1L);
	ok &= !curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)max_u64(timeout_usec / USEC_PER_MSEC, 1));
	ok &= !curl_easy_setopt(c, CURLOPT_USERAGENT, "agentcgd/" AGENTCG_VERSION);
	ok &= !curl_easy_setopt(c, CURLOPT_ERRORBUFFER, q->why);
	ok &= !curl_easy_setopt(c, CURLOPT_PRIVATE, q);
	ok &= !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
	ok &= !curl_easy_setopt(c, CURLOPT_WRITEDATA, q);
	if (!q->json)
		return ok;
	q->headers = curl_slist_append(NULL, "Content-Type: application/json");
	ok &= q->headers && !curl_easy_setopt(c, CURLOPT_HTTPHEADER, q->headers);
	ok &= !curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->json);
	ok &= !curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(q->json));
	return ok;
}

int agentcg_http_send(struct http *h, const char *url, const char *json, uint64_t timeout_usec, http_done_t done,
		      void *userdata, struct http_request **ret)
{
	struct http_request *q;

	if (!startswith(url, "http://") && !startswith(url, "https://"))
		return -EPROTONOSUPPORT;
	if (h->dead)
		return -ECANCELED;
	if (h->nr >= AGENTCG_HTTP_AT_ONCE)
		return -EBUSY;
	q = calloc(1, sizeof(*q));
	if (!q)
		return -ENOMEM;
	q->h = h;
	q->next = h->requests;
	if (q->next)
		q->next->prev = q;
	h->requests = q;
	h->nr++;
	q->done = done;
	q->userdata = userdata;
	q->curl = curl_easy_init();
	if (json)
		q->json = strdup(json);
	if (!q->curl || (json && !q->json) || !set_up(q, url, timeout_usec) ||
	    curl_multi_add_handle(h->multi, q->curl) != CURLM_OK) {
		free_request(q);
		return -ENOMEM;
	}
	if (ret)
		*ret = q;
	return 0;
}

void agentcg_http_cancel(struct http_request *q)
{
	if (q)
		free_request(q);
}
