#include "cli.h"
#define S(n) __attribute__((weak)) int agentcg_cmd_##n(int c, char **v) { return 1; }
S(run) S(status) S(doctor) S(record) S(session) S(release) S(unload)
