// The machine's face to its memory balloon: bytes the guest is left with, where the device counts pages it is
// without.
#include <algorithm>
#include <boost/json/object.hpp>
#include <limits>

#include <nandu/balloon.h>

#include "machine/machine.h"
#include "machine/machine_impl.h"

namespace nandu {
namespace {

// What the guest says of its balloon may be anything.
uint64_t BytesLeft(const MachineConfig& config, const Balloon& balloon) {
  return config.ram_bytes - std::min(config.ram_bytes, balloon.actual_pages() * Balloon::kPageBytes);
}

}  // namespace

std::optional<uint64_t> Machine::GuestMemoryBytes() const {
  const std::shared_ptr<Balloon> balloon = impl_->host->balloon();
  if (!balloon) {
    return std::nullopt;
  }
  return BytesLeft(impl_->config, *balloon);
}

bool Machine::SetGuestMemoryTarget(uint64_t bytes) {
  const std::shared_ptr<Balloon> balloon = impl_->host->balloon();
  if (!balloon) {
    return false;
  }
  const uint64_t ram = impl_->config.ram_bytes;
  const uint64_t pages = (ram - std::min(ram, bytes)) / Balloon::kPageBytes;
  balloon->SetTarget(static_cast<uint32_t>(std::min<uint64_t>(pages, std::numeric_limits<uint32_t>::max())));
  return true;
}

void Machine::Impl::OnBalloonChanged() {
  const std::shared_ptr<Balloon> balloon = host->balloon();
  if (balloon) {
    Emit("BALLOON_CHANGE", {{"actual", BytesLeft(config, *balloon)}});
  }
}

}  // namespace nandu
