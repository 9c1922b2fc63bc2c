/* SPDX-License-Identifier: GPL-2.0-only */
/* The varlink interface io.agentcg.gpu: GPU inference workers (on the same socket as io.agentcg). */
#ifndef _AGENTCG_IO_GPU_H
#define _AGENTCG_IO_GPU_H

#include <systemd/sd-varlink-idl.h>

#define AGENTCG_GPU_METHOD(name)	"io.agentcg.gpu." name
#define AGENTCG_GPU_ERROR(name)		"io.agentcg.gpu." name

extern const sd_varlink_interface vl_interface_io_agentcg_gpu;

#endif
