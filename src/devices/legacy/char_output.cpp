#include "devices/legacy/char_output.h"

#include <span>
#include <utility>

namespace nandu {

std::shared_ptr<CharOutput> CharOutput::Create(ControlLoop& loop, std::shared_ptr<Chardev> backend,
                                               size_t capacity, UniqueFunction<void()> on_drained) {
  return std::shared_ptr<CharOutput>(
      new CharOutput(loop, std::move(backend), capacity, std::move(on_drained)));
}

CharOutput::CharOutput(ControlLoop& loop, std::shared_ptr<Chardev> backend, size_t capacity,
                       UniqueFunction<void()> on_drained)
    : loop_(loop), backend_(std::move(backend)), capacity_(capacity), on_drained_(std::move(on_drained)) {}

bool CharOutput::Push(uint8_t byte) {
  const MutexLock lock(mutex_);
  if (queue_.size() >= capacity_) {
    return false;
  }
  queue_.push_back(static_cast<char>(byte));
  PostDrainLocked();
  return true;
}

size_t CharOutput::room() const {
  const MutexLock lock(mutex_);
  return capacity_ - queue_.size();
}

bool CharOutput::empty() const {
  const MutexLock lock(mutex_);
  return queue_.empty();
}

void CharOutput::PostDrainLocked() {
  if (posted_ || held_) {
    return;
  }
  posted_ = true;
  loop_.Post([weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->Drain();
    }
  });
}

void CharOutput::Drain() {
  while (true) {
    std::string chunk;
    {
      const MutexLock lock(mutex_);
      if (held_) {
        posted_ = false;
        return;
      }
      if (queue_.empty()) {
        posted_ = false;
        break;
      }
      chunk = queue_;
    }
    // Only this thread removes bytes, so the front of the queue is still the chunk after the write.
    const size_t taken = backend_ ? backend_->Write(std::as_bytes(std::span(chunk))) : chunk.size();
    {
      const MutexLock lock(mutex_);
      queue_.erase(0, taken);
    }
    if (taken < chunk.size()) {
      backend_->NotifyWritable([weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
          self->Drain();
        }
      });
      return;
    }
  }
  if (on_drained_) {
    on_drained_();
  }
}

void CharOutput::Hold() {
  const MutexLock lock(mutex_);
  held_ = true;
}

void CharOutput::Release() {
  const MutexLock lock(mutex_);
  held_ = false;
  PostDrainLocked();  // also when it is empty: the owner may still wait to hear so
}

void CharOutput::Close() { on_drained_ = nullptr; }

std::string CharOutput::Queued() const {
  const MutexLock lock(mutex_);
  return queue_;
}

void CharOutput::SetQueued(std::string bytes) {
  const MutexLock lock(mutex_);
  queue_ = std::move(bytes);
}

}  // namespace nandu
