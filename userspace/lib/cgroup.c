// SPDX-License-Identifier: GPL-2.0-only
#include "cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <sys/stat.h>
#include <sys/mount.h>
#include <sys/xattr.h>

/* Bytes that any read of a cgroup file returns at once, if there are so many. */
#define SMALL	1024

int agentcg_cgroup_mount(char **ret)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r == -ENOENT && (m = getmntent(f))) {
		if (!streq(m->mnt_type, "cgroup2"))
			continue;
		*ret = strdup(m->mnt_dir);
		r = *ret ? 0 : -ENOMEM;
	}
	endmntent(f);
	return r;
}

int agentcg_cgroup_of_pid(pid_t pid, char **ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *line = NULL;
	char path[64] = "/proc/self/cgroup";
	size_t size = 0;
	ssize_t n;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while ((n = getline(&line, &size, f)) > 0) {
		const char *group = startswith(line, "0::");

		if (!group)
			continue;
		line[n - 1] = 0;	/* the newline */
		*ret = strdup(group);
		return *ret ? 0 : -ENOMEM;
	}
	return -ENOENT;
}

int agentcg_cgroup_open(int dirfd, const char *path)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The id of a group is the inode number of its directory (kernfs, 64 bits). */
int agentcg_cgroup_id(int dirfd, uint64_t *ret)
{
	struct stat st;

	if (fstat(dirfd, &st) < 0)
		return -errno;
	*ret = st.st_ino;
	return 0;
}

ssize_t agentcg_cgroup_read(int dirfd, const char *file, char *buf, size_t size)
{
	_cleanup_close_ int fd = openat(dirfd, file, O_RDONLY | O_CLOEXEC);
	size_t len = 0;

	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		/* Small files are shown as a whole by one read: what does not fill the buffer was all. */
		if (len < size - 1 && len < SMALL)
			break;
	}
	if (len && buf[len - 1] == '\n')
		len--;
	buf[len] = 0;
	return (ssize_t)len;
}

static int parse_u64(const char *text, uint64_t *ret)
{
	char *end;

	if (startswith(text, "max")) {
		*ret = AGENTCG_CGROUP_MAX;
		return 0;
	}
	errno = 0;
	*ret = strtoull(text, &end, 10);
	if (errno)
		return -errno;
	return end == text ? -EINVAL : 0;
}

int agentcg_cgroup_read_u64(int dirfd, const char *file, uint64_t *ret)
{
	char buf[64];
	ssize_t n = agentcg_cgroup_read(dirfd, file, buf, sizeof(buf));

	return n < 0 ? (int)n : parse_u64(buf, ret);
}

int agentcg_cgroup_find_key(const char *text, const char *key, uint64_t *ret)
{
	const char *line = text;

	while (line && *line) {
		const char *rest = startswith(line, key);

		if (rest && *rest == ' ')
			return parse_u64(rest + 1, ret);
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return -ENODATA;
}

int agentcg_cgroup_read_key(int dirfd, const char *file, const char *key, uint64_t *ret)
{
	char buf[4096];	/* memory.stat of 7.3 is 1.6 KB */
	ssize_t n = agentcg_cgroup_read(dirfd, file, buf, sizeof(buf));

	return n < 0 ? (int)n : agentcg_cgroup_find_key(buf, key, ret);
}

int agentcg_cgroup_write(int dirfd, const char *file, const char *text)
{
	_cleanup_close_ int fd = openat(dirfd, file, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int agentcg_cgroup_write_u64(int dirfd, const char *file, uint64_t value)
{
	char buf[32] = "max";

	if (value != AGENTCG_CGROUP_MAX)
		snprintf(buf, sizeof(buf), "%" PRIu64, value);
	return agentcg_cgroup_write(dirfd, file, buf);
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += n)
		if ((p == text || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
			return true;
	return false;
}

bool agentcg_cgroup_has(int dirfd, const char *controller)
{
	char buf[256];

	return agentcg_cgroup_read(dirfd, "cgroup.controllers", buf, sizeof(buf)) >= 0 &&
	       has_word(buf, controller);
}

int agentcg_cgroup_enable(int dirfd, const char *controller)
{
	char buf[256];

	if (!agentcg_cgroup_has(dirfd, controller))
		return -EOPNOTSUPP;
	if (agentcg_cgroup_read(dirfd, "cgroup.subtree_control", buf, sizeof(buf)) >= 0 &&
	    has_word(buf, controller))
		return 0;
	snprintf(buf, sizeof(buf), "+%s", controller);
	return agentcg_cgroup_write(dirfd, "cgroup.subtree_control", buf);
}

int agentcg_cgroup_populated(int dirfd)
{
	uint64_t v;
	int r = agentcg_cgroup_read_key(dirfd, "cgroup.events", "populated", &v);

	return r < 0 ? r : v != 0;
}

int agentcg_cgroup_kill(int dirfd)
{
	return agentcg_cgroup_write(dirfd, "cgroup.kill", "1");
}

int agentcg_cgroup_freeze(int dirfd, bool freeze)
{
	return agentcg_cgroup_write(dirfd, "cgroup.freeze", freeze ? "1" : "0");
}

int agentcg_cgroup_attach(int dirfd, pid_t pid)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%d", pid);
	return agentcg_cgroup_write(dirfd, "cgroup.procs", buf);
}

int agentcg_cgroup_remove(int dirfd, const char *name)
{
	int fd, r = 0;
	DIR *dir;

	if (unlinkat(dirfd, name, AT_REMOVEDIR) >= 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY)
		return -errno;
	/* A tool may have made groups of its own below its leaf. */
	fd = agentcg_cgroup_open(dirfd, name);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	for (struct dirent *d; !r && (d = readdir(dir));)
		if (d->d_type == DT_DIR && !streq(d->d_name, ".") && !streq(d->d_name, ".."))
			r = agentcg_cgroup_remove(fd, d->d_name);
	closedir(dir);
	if (!r && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	return r;
}

int agentcg_cgroup_get_note(int dirfd, char **ret)
{
	_cleanup_free_ char *buf = NULL;
	ssize_t n = fgetxattr(dirfd, AGENTCG_CGROUP_XATTR, NULL, 0);

	if (n < 0)
		return -errno;
	buf = malloc((size_t)n + 1);
	if (!buf)
		return -ENOMEM;
	n = fgetxattr(dirfd, AGENTCG_CGROUP_XATTR, buf, (size_t)n);
	if (n < 0)
		return -errno;
	buf[n] = 0;
	*ret = TAKE_PTR(buf);
	return 0;
}

int agentcg_cgroup_set_note(int dirfd, const char *text)
{
	return fsetxattr(dirfd, AGENTCG_CGROUP_XATTR, text, strlen(text), 0) < 0 ? -errno : 0;
}

int agentcg_cgroup_drop_note(int dirfd)
{
	return fremovexattr(dirfd, AGENTCG_CGROUP_XATTR) < 0 ? -errno : 0;
}

/* The options of the mount at @mount ("rw,nsdelegate"), of its file system. */
static int read_options(const char *mount, char *buf, size_t size)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	char at[PATH_MAX];
	size_t len = 0;

	if (!f)
		return -errno;
	while (getline(&line, &len, f) > 0) {
		const char *rest = strstr(line, " - cgroup2 ");

		if (!rest || sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 || !streq(at, mount))
			continue;
		rest = strrchr(rest, ' ');
		snprintf(buf, size, "%s", rest + 1);
		buf[strcspn(buf, "\n")] = 0;
		return 0;
	}
	return -ENOENT;
}

int agentcg_cgroup_favor_dynmods(void)
{
	_cleanup_free_ char *mount = NULL;
	_cleanup_close_ int fd = -1;
	char options[512], *save = NULL;
	int r = agentcg_cgroup_mount(&mount);

	if (!r)
		r = read_options(mount, options, sizeof(options));
	if (r < 0 || strstr(options, "favordynmods"))
		return r;
	fd = fspick(AT_FDCWD, mount, FSPICK_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* What is not said again is taken away. */
	for (char *o = strtok_r(options, ",", &save); o; o = strtok_r(NULL, ",", &save))
		if (!streq(o, "rw") && fsconfig(fd, FSCONFIG_SET_FLAG, o, NULL, 0) < 0)
			return -errno;
	if (fsconfig(fd, FSCONFIG_SET_FLAG, "favordynmods", NULL, 0) < 0 ||
	    fsconfig(fd, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return -errno;
	return 0;
}
