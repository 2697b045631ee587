// The answer a command owes its client. Control loop.
//
// A handler gets its arguments and a Reply<Ret>, move-only, answered once: now, or later from a completion.
// One that is destroyed unanswered (its machine is being taken down) answers with an error itself, so that no
// client waits for ever.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "base/check.h"
#include "base/described.h"
#include "base/result.h"
#include "base/unique_function.h"

namespace nandu {

// The classes QEMU's clients tell apart; everything else is kGenericError.
enum class QmpErrorClass : uint8_t {
  kGenericError,
  kCommandNotFound,
  kDeviceNotActive,
  kDeviceNotFound,
  kKvmMissingCap
};
BOOST_DESCRIBE_ENUM(QmpErrorClass, kGenericError, kCommandNotFound, kDeviceNotActive, kDeviceNotFound,
                    kKvmMissingCap)
inline std::span<const WireName> WireNames(const QmpErrorClass* /*type*/) {
  static constexpr WireName kNames[] = {{"kGenericError", "GenericError"},
                                        {"kCommandNotFound", "CommandNotFound"},
                                        {"kDeviceNotActive", "DeviceNotActive"},
                                        {"kDeviceNotFound", "DeviceNotFound"},
                                        {"kKvmMissingCap", "KVMMissingCap"}};
  return kNames;
}

struct QmpFailure {
  QmpErrorClass error_class = QmpErrorClass::kGenericError;
  std::string description;
};

// No arguments, or nothing to return: {} on the wire.
struct Nothing {};
BOOST_DESCRIBE_STRUCT(Nothing, (), ())

// Either a value of a described type, or a failure; the other is null.
struct QmpAnswer {
  const TypeInfo* type = nullptr;
  const void* value = nullptr;
  const QmpFailure* failure = nullptr;
};

// The untyped half of a Reply.
class PendingReply {
 public:
  using Sink = UniqueFunction<void(const QmpAnswer&)>;
  explicit PendingReply(Sink sink) : sink_(std::move(sink)) {}
  PendingReply(PendingReply&& other) noexcept : sink_(std::exchange(other.sink_, nullptr)) {}
  PendingReply& operator=(PendingReply&&) = delete;
  PendingReply(const PendingReply&) = delete;
  PendingReply& operator=(const PendingReply&) = delete;
  ~PendingReply() {
    if (sink_) {
      const QmpFailure failure{QmpErrorClass::kGenericError, "the command was given up before it was done"};
      Send({nullptr, nullptr, &failure});
    }
  }
  void Send(const QmpAnswer& answer) {
    const Sink sink = std::exchange(sink_, nullptr);
    NANDU_CHECK(sink, "a command is answered once");
    sink(answer);
  }

 private:
  Sink sink_;
};

template <class Ret>
class Reply {
 public:
  explicit Reply(PendingReply pending) : pending_(std::move(pending)) {}

  void Return(const Ret& value) { pending_.Send({&TypeOf<Ret>(), &value, nullptr}); }
  void Return() requires std::is_same_v<Ret, Nothing> { Return(Nothing{}); }
  void Fail(QmpErrorClass error_class, std::string description) {
    const QmpFailure failure{error_class, std::move(description)};
    pending_.Send({nullptr, nullptr, &failure});
  }
  void Fail(Error error) { Fail(QmpErrorClass::kGenericError, std::move(error.message)); }
  void Finish(Result<> result) requires std::is_same_v<Ret, Nothing> {
    if (result) {
      Return();
    } else {
      Fail(std::move(result).error());
    }
  }

 private:
  PendingReply pending_;
};

}  // namespace nandu
