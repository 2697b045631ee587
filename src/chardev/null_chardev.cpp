// The null backend: takes everything, says nothing.
#include "chardev/backends.h"

namespace nandu {
namespace {

class NullChardev final : public ChardevBase {
 public:
  NullChardev(ControlLoop& loop, std::string id) : ChardevBase(loop, std::move(id)) { SetConnected(true); }
  std::string filename() const override { return "null"; }
  void NotifyWritable(UniqueFunction<void()> on_writable) override { PostSafely(std::move(on_writable)); }

 protected:
  size_t WriteBytes(std::span<const std::byte> bytes) override { return bytes.size(); }
  void InputWanted() override {}
  void CancelWritable() override {}
};

}  // namespace

std::unique_ptr<ChardevBase> CreateNullChardev(const ChardevContext& context, std::string id) {
  return std::make_unique<NullChardev>(context.loop, std::move(id));
}

}  // namespace nandu
