// Counts what is in flight and says when the last one left: how a queue, a channel or a node quiesces. One
// thread.
//
//     if (!gate.Enter()) return park(request);      // closed: no new work
//     ... on completion: gate.Leave();
//     gate.Close([] { /* nothing is in flight any more */ });
#pragma once

#include <cstddef>

#include "base/check.h"
#include "base/unique_function.h"

namespace nandu {

class Gate {
 public:
  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { NANDU_CHECK(in_flight_ == 0, "a gate is destroyed with nothing in flight"); }

  // False when it is closed: the caller keeps its work.
  [[nodiscard]] bool Enter() {
    if (closed_) {
      return false;
    }
    ++in_flight_;
    return true;
  }
  // May run the function given to Close, as its last act.
  void Leave() {
    NANDU_CHECK(in_flight_ > 0, "who leaves a gate has entered it");
    if (--in_flight_ == 0 && empty_) {
      const UniqueFunction<void()> empty = std::move(empty_);
      empty();
    }
  }
  // No new work from here on; `empty` runs once when nothing is in flight: at once when nothing is now.
  void Close(UniqueFunction<void()> empty) {
    NANDU_CHECK(!empty_, "a gate is closed by one at a time");
    closed_ = true;
    if (in_flight_ == 0) {
      empty();
      return;
    }
    empty_ = std::move(empty);
  }
  // New work is let in again. Whoever closed it and still waits is forgotten.
  void Open() {
    closed_ = false;
    empty_ = nullptr;
  }
  bool closed() const { return closed_; }
  size_t in_flight() const { return in_flight_; }

 private:
  size_t in_flight_ = 0;
  bool closed_ = false;
  UniqueFunction<void()> empty_;
};

}  // namespace nandu
