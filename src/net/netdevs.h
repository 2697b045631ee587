// The network backends a -netdev can name, one row each, and the set of those a VM has. Control loop.
//
//   NetdevSet netdevs({opener, &control, ...});
//   TRY(netdevs.Add("tap", "net0", options));                                          // -netdev tap,id=net0,ifname=tap0
//   std::shared_ptr<NetBackend> backend = TRY(netdevs.Claim("net0", "nic0"));          // released when the last copy goes
#pragma once

#include <boost/json/fwd.hpp>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nandu/net.h>

#include "base/described.h"
#include "base/result.h"
#include "net/netdev_context.h"

namespace nandu {

struct NetdevType {
  std::string_view name;  // "tap"
  std::string_view description;
  const TypeInfo* (*options)();
  // Opens the host's side now. `options` without type and id; values as the user wrote them.
  Result<std::shared_ptr<NetBackend>> (*create)(const NetdevContext& context, const std::string& id,
                                                const boost::json::object& options);
};
std::span<const NetdevType> NetdevTypes();              // by name
const NetdevType* FindNetdevType(std::string_view name);  // null when there is none

class UserNet;

class NetdevSet {
 public:
  explicit NetdevSet(NetdevContext context) : context_(std::move(context)) {}
  NetdevSet(const NetdevSet&) = delete;
  NetdevSet& operator=(const NetdevSet&) = delete;

  Result<> Add(std::string_view type, const std::string& id, const boost::json::object& options);
  Result<> Remove(std::string_view id);  // kBusy while a NIC holds it
  // For one NIC. `user` names who holds it in the sentence the next one gets.
  Result<std::shared_ptr<NetBackend>> Claim(std::string_view id, std::string_view user);
  bool Has(std::string_view id) const { return entries_.contains(std::string(id)); }
  std::vector<std::string> unclaimed() const;  // for the warning that a netdev has no peer
  // Of type user; `id` may be empty where there is one only.
  Result<std::shared_ptr<UserNet>> FindUserNet(std::string_view id) const;
  std::vector<std::shared_ptr<UserNet>> user_nets() const;  // by id
  void ReleaseHost();                                       // of all, see NetBackend

 private:
  struct Entry {
    std::shared_ptr<NetBackend> backend;
    std::weak_ptr<NetBackend> holder;
    std::string user;
  };
  const NetdevContext context_;
  std::map<std::string, Entry> entries_;
};

}  // namespace nandu
