#include "devices/legacy/shared_irq.h"

namespace nandu {

IrqLine& SharedIrq::AddSource() {
  sources_.push_back(std::make_unique<Source>(*this));
  return *sources_.back();
}

void SharedIrq::SetSource(Source& source, bool level) {
  const MutexLock lock(mutex_);
  if (source.level_ != level) {
    source.level_ = level;
    high_ = level ? high_ + 1 : high_ - 1;
  }
  // Also when nothing changed: after a load the line must be driven again. Inside the lock, so that two
  // sources cannot pass each other.
  line_.Set(high_ != 0);
}

}  // namespace nandu
