// SPDX-License-Identifier: GPL-2.0-only
#include "pins.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static char complaint[160];

static int libbpf_print(enum libbpf_print_level level, const char *format, va_list ap)
{
	if (level == LIBBPF_WARN && !complaint[0]) {
		vsnprintf(complaint, sizeof(complaint), format, ap);
		complaint[strcspn(complaint, "\n")] = 0;
	}
	return 0;
}

void agentcg_pins_listen(void)
{
	complaint[0] = 0;
	libbpf_set_print(libbpf_print);
}

const char *agentcg_pins_complaint(void)
{
	return complaint;
}

/* Whether the directory is still the one that is locked. */
static bool is_locked(int fd)
{
	struct stat held, now;

	return fd >= 0 && fstat(fd, &held) == 0 && stat(AGENTCG_PINS, &now) == 0 &&
	       held.st_ino == now.st_ino && held.st_dev == now.st_dev;
}

int agentcg_pins_lock(int *fd, char *why)
{
	struct statfs fs;

	if (is_locked(*fd))
		return 0;
	agentcg_closep(fd);
	*fd = -1;
	if (statfs("/sys/fs/bpf", &fs) < 0 || (unsigned int)fs.f_type != BPF_FS_MAGIC)
		if (mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=700") < 0) {
			snprintf(why, AGENTCG_WHY_MAX, "cannot mount bpffs on /sys/fs/bpf: %m");
			return -errno;
		}
	if (mkdir(AGENTCG_PINS, 0700) < 0 && errno != EEXIST) {
		snprintf(why, AGENTCG_WHY_MAX, "cannot make " AGENTCG_PINS ": %m");
		return -errno;
	}
	*fd = open(AGENTCG_PINS, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0 || flock(*fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "another agentcgd has " AGENTCG_PINS " (%m); stop it first");
		agentcg_closep(fd);
		*fd = -1;
		return -EBUSY;
	}
	return 0;
}

const char *agentcg_pins_path(char buf[AGENTCG_PIN_PATH_MAX], const char *name)
{
	snprintf(buf, AGENTCG_PIN_PATH_MAX, AGENTCG_PINS "/%s", name);
	return buf;
}

int agentcg_pins_get(const char *name)
{
	char path[AGENTCG_PIN_PATH_MAX];

	return bpf_obj_get(agentcg_pins_path(path, name));
}

int agentcg_pins_put(int fd, const char *name)
{
	char path[AGENTCG_PIN_PATH_MAX];

	return bpf_obj_pin(fd, agentcg_pins_path(path, name));
}

void agentcg_pins_remove(bool sched, const char *first)
{
	DIR *dir = opendir(AGENTCG_PINS);

	if (!dir)
		return;
	unlinkat(dirfd(dir), first, 0);
	for (struct dirent *d; (d = readdir(dir));)
		if (!startswith(d->d_name, AGENTCG_PINS_SCHED) != sched)
			unlinkat(dirfd(dir), d->d_name, 0);
	closedir(dir);
}
