// How threads of ours start: with no signals, which the control loop alone takes (control_loop.h).
#pragma once

#include <pthread.h>
#include <signal.h>

namespace nandu {

// While it lives, threads that this thread starts begin with every signal blocked.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigdelset(&all, SIGBUS);  // a thread's own doing: blocked, it ends the process (base/lost_memory.h)
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace nandu
