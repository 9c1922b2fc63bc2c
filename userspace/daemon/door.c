// SPDX-License-Identifier: GPL-2.0-only
#include "door.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "peer.h"

/* Outside at once, of a user and of all; more are hung up on. */
#define OUTSIDE_PER_UID	256
#define OUTSIDE_MAX	1024

struct outside {
	int fd;
	uid_t uid;
};

struct door {
	struct manager *m;
	int fd;
	agentcg_door_t enter;
	sd_event_source *knock;		/* somebody comes */
	sd_event_source *look;		/* somebody may come in who was outside */
	struct outside waiting[OUTSIDE_MAX];	/* in the order in which they came */
	size_t nr;
};

/* What it costs is the user's. */
static void let_in(struct door *d, int fd, uid_t uid, uint64_t since)
{
	d->enter(d->m, fd);
	agentcg_peer_spend(d->m, uid, now_usec(CLOCK_THREAD_CPUTIME_ID) - since);
}

/* And has said nothing before. */
static bool has_gone(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void keep_out(struct door *d, int fd, uid_t uid)
{
	size_t same = 0;

	for (size_t i = 0; i < d->nr; i++)
		same += d->waiting[i].uid == uid;
	if (d->nr == OUTSIDE_MAX || same >= OUTSIDE_PER_UID || has_gone(fd)) {
		close(fd);
		return;
	}
	d->waiting[d->nr++] = (struct outside){ .fd = fd, .uid = uid };
}

static int on_knock(sd_event_source *source, int listening, uint32_t revents, void *userdata)
{
	uint64_t since = now_usec(CLOCK_THREAD_CPUTIME_ID);
	socklen_t size = sizeof(struct ucred);
	struct door *d = userdata;
	struct ucred who;
	int fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return 0;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) {
		close(fd);
		return 0;
	}
	if (agentcg_peer_may_enter(d->m, who.uid)) {
		let_in(d, fd, who.uid, since);
		return 0;
	}
	keep_out(d, fd, who.uid);
	agentcg_peer_spend(d->m, who.uid, now_usec(CLOCK_THREAD_CPUTIME_ID) - since);
	return 0;
}

/* One at a time, as at the door itself; then others have their turn. */
static int on_look(sd_event_source *source, void *userdata)
{
	uint64_t since = now_usec(CLOCK_THREAD_CPUTIME_ID);
	struct door *d = userdata;

	for (size_t i = 0; i < d->nr; i++) {
		struct outside w = d->waiting[i];

		if (!agentcg_peer_may_enter(d->m, w.uid))
			continue;
		d->nr--;
		memmove(&d->waiting[i], &d->waiting[i + 1], (d->nr - i) * sizeof(d->waiting[0]));
		if (has_gone(w.fd)) {
			close(w.fd);
			agentcg_peer_spend(d->m, w.uid, now_usec(CLOCK_THREAD_CPUTIME_ID) - since);
		} else {
			let_in(d, w.fd, w.uid, since);
		}
		return sd_event_source_set_enabled(source, d->nr ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	}
	return sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

void agentcg_door_look(struct manager *m)
{
	if (m->door && m->door->nr)
		(void)sd_event_source_set_enabled(m->door->look, SD_EVENT_ONESHOT);
}

static int listen_on(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = -1;
	char *slash;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	for (slash = strchr(address.sun_path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(address.sun_path, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || (unlink(path) < 0 && errno != ENOENT))
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* Everybody may ask; what they get depends on who they are. */
	if (chmod(path, 0666) < 0 || listen(fd, SOMAXCONN) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int agentcg_door_open(struct manager *m, const char *socket, agentcg_door_t enter)
{
	struct door *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	*d = (struct door){ .m = m, .enter = enter };
	m->door = d;
	d->fd = listen_on(socket);
	if (d->fd < 0)
		return d->fd;
	r = sd_event_add_io(m->event, &d->knock, d->fd, EPOLLIN, on_knock, d);
	if (r >= 0)
		r = sd_event_source_set_priority(d->knock, AGENTCG_PRIORITY_DOOR);
	if (r >= 0)
		r = sd_event_add_defer(m->event, &d->look, on_look, d);
	if (r >= 0)
		r = sd_event_source_set_priority(d->look, AGENTCG_PRIORITY_LATE);
	return r < 0 ? r : sd_event_source_set_enabled(d->look, SD_EVENT_OFF);
}

void agentcg_door_close(struct manager *m)
{
	struct door *d = m->door;

	if (!d)
		return;
	sd_event_source_disable_unref(d->knock);
	sd_event_source_disable_unref(d->look);
	for (size_t i = 0; i < d->nr; i++)
		close(d->waiting[i].fd);
	agentcg_closep(&d->fd);
	free(d);
	m->door = NULL;
}
