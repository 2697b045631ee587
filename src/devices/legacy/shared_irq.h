// One interrupt line that several sources pull: it is high while any of them is. Any thread.
#pragma once

#include <memory>
#include <vector>

#include <nandu/irq.h>

#include "base/thread_annotations.h"

namespace nandu {

class SharedIrq {
 public:
  explicit SharedIrq(IrqLine& line) : line_(line) {}
  SharedIrq(const SharedIrq&) = delete;
  SharedIrq& operator=(const SharedIrq&) = delete;

  // A source of its own, low at first. Control thread; lives as long as this.
  IrqLine& AddSource();

 private:
  class Source final : public IrqLine {
   public:
    explicit Source(SharedIrq& owner) : owner_(owner) {}
    void Set(bool level) override { owner_.SetSource(*this, level); }

   private:
    friend class SharedIrq;
    SharedIrq& owner_;
    bool level_ = false;  // guarded by the owner's mutex
  };
  void SetSource(Source& source, bool level);

  IrqLine& line_;
  Mutex mutex_;
  unsigned high_ NANDU_TA(guarded_by(mutex_)) = 0;  // sources that are
  std::vector<std::unique_ptr<Source>> sources_;
};

}  // namespace nandu
