// The signal of broken memory, as the kernel sends it, to a thread of this process. rt_tgsigqueueinfo(2) lets
// a process forge its own.
#pragma once

#include <csignal>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nandu {

// `code`: BUS_MCEERR_AR (the thread used it) or BUS_MCEERR_AO (nobody did).
inline void ForgePoison(pid_t thread, int code, const void* at) {
  siginfo_t info{};
  info.si_signo = SIGBUS;
  info.si_code = code;
  info.si_addr = const_cast<void*>(at);
  info.si_addr_lsb = 12;
  EXPECT_EQ(::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), thread, SIGBUS, &info), 0);
}

}  // namespace nandu
