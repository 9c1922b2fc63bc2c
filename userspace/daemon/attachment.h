/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process whose commands get leaves without its doing: a shell that an agent
 * types into, or a whole framework (bpf/follow.bpf.c sees what they start).
 */
#ifndef _AGENTCG_ATTACHMENT_H
#define _AGENTCG_ATTACHMENT_H

#include "follow.h"
#include "manager.h"

struct call;
struct call_birth;

struct attachment {
	struct manager *m;
	struct session *session;
	struct call *home;		/* the leaf that the process lives in */
	uint32_t slot;
	enum agentcg_follow_kind kind;
	pid_t pid;
	int pidfd;
	sd_event_source *exit;
	struct call *open;		/* a shell's command that is not over */
	uint64_t key;			/* of that */
};

/* Of one session, and of one user; what an agent and its helpers need, and more. */
#define AGENTCG_ATTACHMENTS_PER_SESSION	16
#define AGENTCG_ATTACHMENTS_PER_UID	64

/*
 * Follows the process of @pidfd (taken over in any case), which is the peer's own
 * to attach, as one of @s; it moves to the session's leaf "agent" unless it is
 * in one of the session's.  @kind 0: as it looks.  -EPERM, -ESRCH, -EALREADY, -EOPNOTSUPP and
 * -ENOSPC with the reason in @why.
 */
int agentcg_attachment_new(struct session *s, int pidfd, uid_t uid, enum agentcg_follow_kind kind,
			   struct attachment **ret, char *why);
/* Lets go of it; the process stays where it is. */
void agentcg_attachment_end(struct attachment *a);
void agentcg_attachment_end_all(struct session *s);

/* When a call ends: nothing more is placed in its leaf, and who lives there is followed no longer. */
void agentcg_attachment_forget(struct call *c);

/* What the session's record says of them, and those of an earlier daemon again. */
int agentcg_attachment_save(const struct session *s, sd_json_variant **ret);
void agentcg_attachment_resume(struct manager *m);

/* The kernel's programs, which are loaded with the first who needs them; -EOPNOTSUPP: @why. */
int agentcg_attachment_open(struct manager *m, char *why);
/* Ends all of them, and the kernel's programs. */
void agentcg_attachment_close(struct manager *m);
/* Frees the memory only, for the daemon's own end: the next one resumes them. */
void agentcg_attachment_free_all(struct manager *m);

/*
 * A leaf where nothing runs yet, for a command that is to come.  @slot: for whose;
 * AGENTCG_MAX_ATTACHMENTS: for a ticket's.  -ENOSPC: the session or its user has enough.
 */
int agentcg_attachment_make_leaf(struct session *s, uint32_t slot, const struct call_birth *birth, struct call **ret);

const char *agentcg_follow_kind_name(enum agentcg_follow_kind kind);
/* [{pid, kind, call, unplaced}] of @s. */
int agentcg_attachment_build(const struct session *s, sd_json_variant **ret);

#endif
