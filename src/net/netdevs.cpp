// Network backends by type and by id.
#include "net/netdevs.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/nearest.h"
#include "net/options.h"
#include "net/tap.h"

namespace nandu {
namespace {

Result<std::shared_ptr<NetBackend>> CreateTap(Opener& opener, const std::string& id,
                                              const boost::json::object& options) {
  const std::string what = Format("netdev '{}'", id);
  const TapOptions parsed =
      TRY(FromJson<TapOptions>(options, {.path = what, .field_word = "option", .lenient = true}));
  std::shared_ptr<NetBackend> tap = TRY(Prefix(Tap::Open(opener, id, parsed), what));
  return tap;
}

template <class Options>
const TypeInfo* OptionsOf() {
  return &TypeOf<Options>();
}

constexpr std::array kTypes = {
    NetdevType{"tap", "a host network interface (TUN/TAP)", OptionsOf<TapOptions>, CreateTap},
};

// Types of QEMU that a command line may well name.
struct Refused {
  std::string_view name;
  std::string_view instead;
};
constexpr std::array kRefused = {
    Refused{"user", "use -netdev tap"},
    Refused{"socket", "use -netdev tap"},
    Refused{"hubport", "use a host bridge"},
    Refused{"bridge", "make a tap on the bridge and use -netdev tap,ifname="},
    Refused{"vhost-user", "use -netdev tap"},
    Refused{"l2tpv3", "use -netdev tap"},
    Refused{"vde", "use -netdev tap"},
    Refused{"vhost-vdpa", "use -netdev tap"},
};

}  // namespace

std::span<const NetdevType> NetdevTypes() { return kTypes; }

Result<> NetdevSet::Add(std::string_view type, const std::string& id, const boost::json::object& options) {
  if (id.empty()) {
    return Fail(Errc::kInvalidArgument, "-netdev {}: id= is missing", type);
  }
  if (Has(id)) {
    return Fail(Errc::kExists, "netdev '{}' exists already; choose another id", id);
  }
  const auto* const row =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const NetdevType& each) { return each.name == type; });
  if (row == kTypes.end()) {
    const auto* const refused = std::find_if(kRefused.begin(), kRefused.end(),
                                             [&](const Refused& each) { return each.name == type; });
    std::vector<std::string_view> names;
    std::string known;
    for (const NetdevType& each : kTypes) {
      names.push_back(each.name);
      known += known.empty() ? "" : ", ";
      known += each.name;
    }
    if (refused != kRefused.end()) {
      return Fail(Errc::kUnsupported, "netdev '{}': type '{}' is not supported; {}; known: {}", id, type,
                  refused->instead, known);
    }
    return Fail(Errc::kInvalidArgument, "netdev '{}': no type '{}'{}; known: {}", id, type,
                DidYouMean(type, names), known);
  }
  Entry entry;
  entry.backend = TRY(row->create(opener_, id, options));
  entries_.emplace(id, std::move(entry));
  return {};
}

Result<> NetdevSet::Remove(std::string_view id) {
  const auto found = entries_.find(std::string(id));
  if (found == entries_.end()) {
    return Fail(Errc::kNotFound, "no netdev '{}'", id);
  }
  if (!found->second.holder.expired()) {
    return Fail(Errc::kBusy, "netdev '{}' is in use by {}; remove that device first", id, found->second.user);
  }
  entries_.erase(found);
  return {};
}

Result<std::shared_ptr<NetBackend>> NetdevSet::Claim(std::string_view id, std::string_view user) {
  const auto found = entries_.find(std::string(id));
  if (found == entries_.end()) {
    std::vector<std::string_view> known;
    for (const auto& [name, entry] : entries_) {
      known.push_back(name);
    }
    return Fail(Errc::kNotFound, "no netdev '{}'{}; add -netdev TYPE,id={}", id, DidYouMean(id, known), id);
  }
  Entry& entry = found->second;
  if (!entry.holder.expired()) {
    return Fail(Errc::kBusy, "netdev '{}' is in use by {}; give each NIC a netdev of its own", id,
                entry.user);
  }
  // A holder of its own, so that its end shows whoever else keeps the backend alive.
  std::shared_ptr<NetBackend> held(entry.backend.get(), [owner = entry.backend](NetBackend*) {});
  entry.holder = held;
  entry.user = user;
  return held;
}

std::vector<std::string> NetdevSet::unclaimed() const {
  std::vector<std::string> ids;
  for (const auto& [id, entry] : entries_) {
    if (entry.holder.expired()) {
      ids.push_back(id);
    }
  }
  return ids;
}

void NetdevSet::ReleaseHost() {
  for (const auto& [id, entry] : entries_) {
    entry.backend->ReleaseHost();
  }
}

}  // namespace nandu
