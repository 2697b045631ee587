#include "kvm/irq_line.h"

#include <errno.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "kvm/kvm_abi.h"

namespace nandu {

void KvmIrqLine::SendLocked() {
  kvm_irq_level request{};
  request.irq = gsi_;
  request.level = level_ ? 1 : 0;
  if (ioctl(vm_.fd(), KVM_IRQ_LINE, &request) != 0) {
    static RateLimitedLog log("interrupt lines");
    log.Warn("KVM_IRQ_LINE for GSI {}: {}", gsi_, ErrnoText(errno));
  }
}

void KvmIrqLine::Set(bool level) {
  // The lock spans the call, so that two threads cannot leave KVM with the older of two levels.
  const MutexLock lock(mutex_);
  if (level_ != level) {
    level_ = level;
    SendLocked();
  }
}

void KvmIrqLine::Redrive() {
  const MutexLock lock(mutex_);
  SendLocked();
}

class SharedIrqLine::Source final : public IrqLine {
 public:
  explicit Source(std::shared_ptr<Sum> sum) : sum_(std::move(sum)) {}
  ~Source() override { Set(false); }
  void Set(bool level) override {
    const MutexLock lock(mutex_);
    if (level_ != level) {
      level_ = level;
      sum_->Change(level);
    }
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

 private:
  const std::shared_ptr<Sum> sum_;
  Mutex mutex_;
  bool level_ NANDU_TA(guarded_by(mutex_)) = false;
};

void SharedIrqLine::Sum::Change(bool raise) {
  const MutexLock lock(mutex);
  raised += raise ? 1U : ~0U;
  out.Set(raised != 0);
}

SharedIrqLine::SharedIrqLine(IrqLine& out) : sum_(std::make_shared<Sum>(out)) {}

std::unique_ptr<IrqLine> SharedIrqLine::AddSource() { return std::make_unique<Source>(sum_); }

}  // namespace nandu
