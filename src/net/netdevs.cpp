// Network backends by type and by id.
#include "net/netdevs.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "base/nearest.h"
#include "net/bridge_helper.h"
#include "net/dgram.h"
#include "net/options.h"
#include "net/stream.h"
#include "net/tap.h"
#include "net/user.h"

namespace nandu {
namespace {

// Parses the options of a type and opens it, with the netdev in every sentence.
template <class Options, class Backend,
          Result<std::shared_ptr<Backend>> (*kOpen)(const NetdevContext&, const std::string&, const Options&)>
Result<std::shared_ptr<NetBackend>> Create(const NetdevContext& context, const std::string& id,
                                           const boost::json::object& options) {
  const std::string what = Format("netdev '{}'", id);
  const Options parsed =
      TRY(FromJson<Options>(options, {.path = what, .field_word = "option", .lenient = true}));
  std::shared_ptr<NetBackend> backend = TRY(Prefix(kOpen(context, id, parsed), what));
  return backend;
}

Result<std::shared_ptr<Tap>> OpenTap(const NetdevContext& context, const std::string& id,
                                     const TapOptions& options) {
  return Tap::Open(context.opener, id, options);
}

Result<std::shared_ptr<Tap>> OpenBridge(const NetdevContext& context, const std::string& id,
                                        const BridgeOptions& options) {
  TapOptions tap;
  tap.br = options.br.value_or(kDefaultBridge);
  tap.helper = options.helper.value_or(kDefaultBridgeHelper);
  return Tap::Open(context.opener, id, tap);
}

template <class Options>
const TypeInfo* OptionsOf() {
  return &TypeOf<Options>();
}

constexpr std::array kTypes = {
    NetdevType{"bridge", "a tap on a bridge of the host's, made by qemu-bridge-helper",
               OptionsOf<BridgeOptions>, Create<BridgeOptions, Tap, OpenBridge>},
    NetdevType{"dgram", "datagrams to another VM or a multicast group (UDP, unix)", OptionsOf<DgramOptions>,
               Create<DgramOptions, NetBackend, DgramNet::Open>},
    NetdevType{"socket", "the older spelling of stream and dgram", OptionsOf<SocketNetOptions>,
               Create<SocketNetOptions, NetBackend, OpenSocketNet>},
    NetdevType{"stream", "a stream socket to passt or another VM (TCP, unix)", OptionsOf<StreamOptions>,
               Create<StreamOptions, NetBackend, StreamNet::Open>},
    NetdevType{"tap", "a host network interface (TUN/TAP)", OptionsOf<TapOptions>,
               Create<TapOptions, Tap, OpenTap>},
    NetdevType{"user", "a network of the VM's own behind this process, without root (libslirp)",
               OptionsOf<UserOptions>, Create<UserOptions, UserNet, UserNet::Open>},
};

// Types of QEMU that a command line may well name.
struct Refused {
  std::string_view name;
  std::string_view instead;
};
constexpr std::array kRefused = {
    Refused{"hubport", "use a host bridge"},   Refused{"vhost-user", "use -netdev tap"},
    Refused{"l2tpv3", "use -netdev dgram"},    Refused{"vde", "use -netdev stream or dgram"},
    Refused{"vhost-vdpa", "use -netdev tap"},
};

}  // namespace

std::span<const NetdevType> NetdevTypes() { return kTypes; }

const NetdevType* FindNetdevType(std::string_view name) {
  const auto* const row = std::ranges::find(kTypes, name, &NetdevType::name);
  return row == kTypes.end() ? nullptr : row;
}

Result<> NetdevSet::Add(std::string_view type, const std::string& id, const boost::json::object& options) {
  if (id.empty()) {
    return Fail(Errc::kInvalidArgument, "-netdev {}: id= is missing", type);
  }
  if (Has(id)) {
    return Fail(Errc::kExists, "netdev '{}' exists already; choose another id", id);
  }
  const NetdevType* const row = FindNetdevType(type);
  if (row == nullptr) {
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
  entry.backend = TRY(row->create(context_, id, options));
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

std::vector<std::shared_ptr<UserNet>> NetdevSet::user_nets() const {
  std::vector<std::shared_ptr<UserNet>> all;
  for (const auto& [id, entry] : entries_) {
    if (auto user = std::dynamic_pointer_cast<UserNet>(entry.backend)) {
      all.push_back(std::move(user));
    }
  }
  return all;
}

Result<std::shared_ptr<UserNet>> NetdevSet::FindUserNet(std::string_view id) const {
  const std::vector<std::shared_ptr<UserNet>> all = user_nets();
  if (id.empty() && all.size() > 1) {
    return Fail(Errc::kInvalidArgument, "there are {} user networks; name one by its id", all.size());
  }
  for (const std::shared_ptr<UserNet>& each : all) {
    if (id.empty() || each->id() == id) {
      return each;
    }
  }
  return id.empty() ? Fail(Errc::kNotFound, "there is no user network; start the VM with -netdev user")
                    : Fail(Errc::kNotFound, "there is no user network '{}'", id);
}

void NetdevSet::ReleaseHost() {
  for (const auto& [id, entry] : entries_) {
    entry.backend->ReleaseHost();
  }
}

}  // namespace nandu
