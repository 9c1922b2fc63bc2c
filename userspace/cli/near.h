/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that a command is going to map, brought to the memory of the nodes where it will run, before it does.  What of
 * them is in the page cache stays where it was read first, whoever maps it later; what is not comes to the right place by itself.
 *
 * Known beforehand are the command's program, its interpreter, the libraries that are linked to it, and what its words
 * name: files, and those in folders (models in pieces).  What is loaded later, the daemon's sweeps find (worker.c).
 * A page has one place: what two commands map is where it was wanted last.
 */
#ifndef _AGENTCG_NEAR_H
#define _AGENTCG_NEAR_H

/* @mems: nodes, as "0-1".  Takes about as long as copying what is elsewhere.  What cannot be moved stays; a reason is said. */
void agentcg_near(char *const command[], const char *mems);

#endif
