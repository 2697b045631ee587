// A move-only callable: what std::move_only_function is in C++23.
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

namespace nandu {

template <class Signature>
class UniqueFunction;

template <class R, class... Args>
class UniqueFunction<R(Args...)> {
 public:
  UniqueFunction() = default;
  UniqueFunction(std::nullptr_t) {}  // NOLINT: implicit, as std::function
  template <class F>
    requires(!std::is_same_v<std::decay_t<F>, UniqueFunction> && std::is_invocable_r_v<R, F&, Args...>)
  UniqueFunction(F f) : call_(std::make_unique<Holder<F>>(std::move(f))) {}  // NOLINT: implicit, as std::function

  R operator()(Args... args) const { return call_->Call(std::forward<Args>(args)...); }
  explicit operator bool() const { return call_ != nullptr; }

 private:
  struct Base {
    Base() = default;
    Base(const Base&) = delete;
    Base& operator=(const Base&) = delete;
    virtual ~Base() = default;
    virtual R Call(Args... args) = 0;
  };
  template <class F>
  struct Holder final : Base {
    explicit Holder(F f) : function(std::move(f)) {}
    R Call(Args... args) override { return function(std::forward<Args>(args)...); }
    F function;
  };
  std::unique_ptr<Base> call_;
};

}  // namespace nandu
