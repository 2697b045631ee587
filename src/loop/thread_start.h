// What every thread of ours does first: its name, and no signals. The control loop alone takes signals
// (control_loop.h).
#pragma once

#include <pthread.h>
#include <signal.h>
#include <string>
#include <string_view>

namespace nandu {

// The kernel keeps 15 characters.
inline void NameThisThread(std::string_view name) {
  ::pthread_setname_np(::pthread_self(), std::string(name.substr(0, 15)).c_str());
}

// While it lives, threads that this thread starts begin with every signal blocked.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace nandu
