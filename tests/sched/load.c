// SPDX-License-Identifier: GPL-2.0-only
/*
 * load [PIN]: runs the machine with our scheduler until a signal comes; with
 * PIN it ends at once and leaves the link there, as the daemon does.
 *
 * Says "loaded" when it is, and why it ended if not by the signal.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "scheduler.h"

int main(int argc, char **argv)
{
	const char *why = sched_unsupported();
	struct agentcg_sched_exit e;
	sigset_t set;
	int sig, err;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (why) {
		fprintf(stderr, "load: %s\n", why);
		return 4;
	}
	if (sched_start(&sched, 0))
		return 1;
	if (argc > 1) {
		err = bpf_link__pin(sched.link, argv[1]);
		if (err)
			fprintf(stderr, "load: cannot pin it to %s: %s\n", argv[1], strerror(-err));
		printf("loaded\n");
		return !!err;
	}
	printf("loaded\n");
	fflush(stdout);
	sigwait(&set, &sig);
	e = sched_exit_record(&sched);
	if (e.time)
		printf("ended: %s: %s\n", e.reason, e.message);
	sched_stop(&sched);
	return e.time ? 1 : 0;
}
