// Bytes on their way from a vCPU to a character backend. The vCPU never waits: what it pushes goes into a
// bounded queue and the control loop writes it out, as fast as the backend takes it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nandu/chardev.h>

#include "base/thread_annotations.h"
#include "base/unique_function.h"
#include "loop/control_loop.h"

namespace nandu {

class CharOutput : public std::enable_shared_from_this<CharOutput> {
 public:
  // `backend` may be null: bytes vanish. `on_drained` runs on the control loop, without a lock, whenever the
  // queue ran empty.
  static std::shared_ptr<CharOutput> Create(ControlLoop& loop, std::shared_ptr<Chardev> backend,
                                            size_t capacity, UniqueFunction<void()> on_drained);
  CharOutput(const CharOutput&) = delete;
  CharOutput& operator=(const CharOutput&) = delete;

  // Any thread.
  bool Push(uint8_t byte);  // false: full, the byte was not taken
  size_t room() const;
  bool empty() const;

  // Control thread.
  void Hold();  // nothing is written out until Release
  void Release();
  void Close();  // no callback any more: the owner goes away
  std::string Queued() const;
  void SetQueued(std::string bytes);  // while held; at most the capacity

 private:
  CharOutput(ControlLoop& loop, std::shared_ptr<Chardev> backend, size_t capacity,
             UniqueFunction<void()> on_drained);
  void PostDrainLocked() NANDU_TA(requires_capability(mutex_));
  void Drain();

  ControlLoop& loop_;
  const std::shared_ptr<Chardev> backend_;
  const size_t capacity_;
  UniqueFunction<void()> on_drained_;  // control thread
  mutable Mutex mutex_;
  std::string queue_ NANDU_TA(guarded_by(mutex_));
  bool posted_ NANDU_TA(guarded_by(mutex_)) = false;  // a Drain is on its way, or waits for the backend
  bool held_ NANDU_TA(guarded_by(mutex_)) = false;
};

}  // namespace nandu
