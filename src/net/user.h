// -netdev user: a network for a VM whose user may make none. libslirp runs on a thread of its own, with poll(2); frames pass between it and
// the NIC's I/O loop through a pair of SOCK_SEQPACKET sockets, which keep them apart and bounded: each side sees a full or an empty pair as
// any descriptor that is not ready. Control loop unless said otherwise.
#pragma once

#include <deque>
#include <memory>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

#include <nandu/net.h>

#include "base/counter.h"
#include "base/thread_annotations.h"
#include "base/unique_fd.h"
#include "net/guest_pipe.h"
#include "net/netdev_context.h"
#include "net/slirp_stack.h"

namespace nandu {

class UserNet final : public NetBackend {
 public:
  // Listens at every hostfwd= before it returns.
  static Result<std::shared_ptr<UserNet>> Open(const NetdevContext& context, const std::string& id,
                                               const UserOptions& options);
  ~UserNet() override;

  // "[tcp|udp]:[hostaddr]:hostport-[guestaddr]:guestport" and its left half. `done` runs on the control loop, later.
  void AddHostForward(const std::string& rule, UniqueFunction<void(Result<>)> done);
  void RemoveHostForward(const std::string& rule, UniqueFunction<void(Result<>)> done);
  void ListConnections(UniqueFunction<void(std::string)> done);
  uint64_t dropped_frames() const { return dropped_frames_.value(); }  // for a guest that does not read; any thread

  const std::string& id() const override { return id_; }
  std::string_view type() const override { return "user"; }
  unsigned queue_pairs() const override { return 1; }
  bool has_vnet_header() const override { return false; }
  NetOffloads offloads() const override { return {}; }
  Result<> SetHeaderBytes(unsigned /*bytes*/) override { return {}; }
  Result<> SetOffloads(const NetOffloads& /*receive*/) override { return {}; }
  Result<> SetActivePairs(unsigned pairs) override;
  Result<std::unique_ptr<NetChannel>> OpenChannel(unsigned pair, EventLoop& loop) override;

 private:
  using Work = UniqueFunction<void(SlirpStack&)>;
  UserNet(std::string id, ControlLoop& control, UniqueFd wake);
  Result<> OpenForwards(const NetdevContext& context, const UserConfig& config);
  void PostWork(Work work);  // any thread
  void Change(Result<HostForward> rule, Result<> (SlirpStack::*change)(const HostForward&),
              UniqueFunction<void(Result<>)> done);

  // The thread.
  void Run();
  bool RunWork();  // false: to end
  void FromGuest();
  void ToGuest(std::span<const uint8_t> frame);
  void FlushToGuest();

  const std::string id_;
  ControlLoop& control_;
  const UniqueFd wake_;                // eventfd
  std::shared_ptr<UniqueFd> nic_end_;  // shared with the channel
  UniqueFd stack_end_;
  std::vector<std::shared_ptr<GuestPipe>> pipes_;
  std::unique_ptr<SlirpStack> stack_;  // the thread's once it runs
  Counter dropped_frames_;

  Mutex mutex_;
  std::vector<Work> work_ NANDU_TA(guarded_by(mutex_));
  bool ending_ NANDU_TA(guarded_by(mutex_)) = false;

  std::deque<std::vector<uint8_t>> waiting_;  // for room in the pair; the thread's
  std::vector<uint8_t> frame_;                // the thread's
  std::thread thread_;
};

}  // namespace nandu
