// -daemonize: the parent stays until the VM is ready or has failed, so that its exit status and stderr tell.
// Before any thread, ring or KVM descriptor: none survives a fork.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace nandu {

class Daemon {
 public:
  // In the child: returns. In the parent: waits for the child's word and never returns. The child's stderr is
  // the parent's until Ready.
  static Result<Daemon> Fork();

  // The VM is ready: lets go of the terminal, the working directory and the parent, which exits 0. When the
  // child ends without it, the parent exits 1.
  Result<> Ready();

 private:
  explicit Daemon(UniqueFd parent) : parent_(std::move(parent)) {}
  UniqueFd parent_;
};

}  // namespace nandu
