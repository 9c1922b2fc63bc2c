// SPDX-License-Identifier: GPL-2.0-only
#include "settings.h"

#include <fcntl.h>

#include "json-edit.h"

/* Nobody writes so much by hand: it is another file. */
#define SETTINGS_MAX	(4 * MIB)

static int explain(int error, char *why, const char *what, const char *path)
{
	snprintf(why, AGENTCG_WHY_MAX, "cannot %s %s: %s", what, path, strerror(-error));
	return error;
}

static int read_all(const char *path, struct agentcg_settings *ret)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t n = 0, size;

	if (fd < 0 || fstat(fd, &ret->stat) < 0)
		return -errno;
	if (!S_ISREG(ret->stat.st_mode))
		return -EINVAL;
	if (ret->stat.st_size > (off_t)SETTINGS_MAX)
		return -EFBIG;
	size = (size_t)ret->stat.st_size;
	ret->text = malloc(size + 1);
	if (!ret->text)
		return -ENOMEM;
	while (n < size) {
		ssize_t got = read(fd, ret->text + n, size - n);

		if (got < 0)
			return -errno;
		if (!got)
			break;
		n += (size_t)got;
	}
	ret->text[n] = 0;
	return strlen(ret->text) == n ? 0 : -EBADMSG;
}

static bool is_blank(const char *text)
{
	return !text[strspn(text, " \t\r\n")];
}

int agentcg_settings_read(const char *path, struct agentcg_settings *ret, char *why)
{
	unsigned int line = 0, column = 0;
	struct stat st;
	int r;

	*ret = (struct agentcg_settings){};
	ret->linked = lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
	ret->path = realpath(path, NULL);
	if (!ret->path) {
		if (errno != ENOENT)
			return explain(-errno, why, "read", path);
		if (ret->linked)
			return explain(-ENOENT, why, "follow the link", path);
		ret->path = strdup(path);
		return ret->path ? 0 : -ENOMEM;
	}
	r = read_all(ret->path, ret);
	if (r < 0)
		return explain(r, why, "read", path);
	if (is_blank(ret->text))
		return 0;
	r = sd_json_parse(ret->text, 0, &ret->value, &line, &column);
	if (r < 0) {
		snprintf(why, AGENTCG_WHY_MAX, "%s is not plain JSON (line %u, column %u; comments are not JSON): mend it, or edit it by hand",
			 path, line, column);
		return -EBADMSG;
	}
	if (!sd_json_variant_is_object(ret->value)) {
		snprintf(why, AGENTCG_WHY_MAX, "%s holds no JSON object: mend it first", path);
		return -EBADMSG;
	}
	return 0;
}

/* The folder of @path and those above it. */
static int make_folders(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *p = copy + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return 0;
}

static int write_all(int fd, const char *text)
{
	for (size_t n = strlen(text); n;) {
		ssize_t put = write(fd, text, n);

		if (put < 0)
			return -errno;
		text += put;
		n -= (size_t)put;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* With the owner and the mode of the file that it replaces. */
static int fill(int fd, const struct agentcg_settings *s, const char *text)
{
	mode_t mask = umask(0);

	umask(mask);
	if (fchmod(fd, s->text ? s->stat.st_mode & 07777 : 0666 & ~mask) < 0)
		return -errno;
	if (s->text && (s->stat.st_uid != geteuid() || s->stat.st_gid != getegid()) &&
	    fchown(fd, s->stat.st_uid, s->stat.st_gid) < 0)
		return -errno;
	return write_all(fd, text);
}

/* Whether somebody else was there meanwhile. */
static bool changed(const struct agentcg_settings *s)
{
	struct stat now;

	if (stat(s->path, &now) < 0)
		return errno != ENOENT || s->text;
	return !s->text || now.st_ino != s->stat.st_ino || now.st_size != s->stat.st_size ||
	       now.st_mtim.tv_sec != s->stat.st_mtim.tv_sec || now.st_mtim.tv_nsec != s->stat.st_mtim.tv_nsec;
}

static int replace(const struct agentcg_settings *s, const char *text)
{
	_cleanup_free_ char *temporary = NULL;
	_cleanup_close_ int fd = -1;
	int r;

	if (asprintf(&temporary, "%s.agentcg-XXXXXX", s->path) < 0)
		return -ENOMEM;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(fd, s, text);
	if (!r && changed(s))
		r = -EAGAIN;
	if (!r && rename(temporary, s->path) < 0)
		r = -errno;
	if (r < 0)
		unlink(temporary);
	return r;
}

int agentcg_settings_write(const struct agentcg_settings *s, sd_json_variant *value, char *why)
{
	char indent[AGENTCG_INDENT_MAX];
	_cleanup_free_ char *text = NULL;
	int r;

	if (s->value ? sd_json_variant_equal(s->value, value) : !sd_json_variant_elements(value))
		return 0;
	if (!sd_json_variant_elements(value) && !s->linked)
		return unlink(s->path) < 0 ? explain(-errno, why, "remove", s->path) : 1;
	agentcg_json_indent(s->text ?: "", indent);
	r = agentcg_json_write(value, indent, &text);
	if (!r && !s->text)
		r = make_folders(s->path);
	if (!r)
		r = replace(s, text);
	if (r == -EAGAIN) {
		snprintf(why, AGENTCG_WHY_MAX, "%s was changed by somebody else just now: try again", s->path);
		return r;
	}
	return r < 0 ? explain(r, why, "write", s->path) : 1;
}

void agentcg_settings_done(struct agentcg_settings *s)
{
	free(s->path);
	free(s->text);
	sd_json_variant_unref(s->value);
	*s = (struct agentcg_settings){};
}
