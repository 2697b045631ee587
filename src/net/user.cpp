// The user network's thread and its doors.
#include "net/user.h"

#include <cerrno>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "base/log.h"
#include "base/thread_name.h"
#include "loop/thread_start.h"
#include "net/packet_channel.h"

namespace nandu {
namespace {

constexpr int kPairBytes = 1 << 20;           // asked for; the kernel gives what it allows (net.core.wmem_max)
constexpr size_t kMaxFrameBytes = 65536 + 64;  // the longest a NIC sends
constexpr size_t kMaxWaiting = 1024;          // frames; then the guest misses some, as on any network
constexpr unsigned kFramesPerTurn = 64;       // then sockets get their turn

tl::unexpected<Error> CannotStart(int reason) { return FailErrno(reason, "cannot start the user network"); }

}  // namespace

UserNet::UserNet(std::string id, ControlLoop& control, UniqueFd wake)
    : id_(std::move(id)), control_(control), wake_(std::move(wake)), frame_(kMaxFrameBytes) {}

Result<std::shared_ptr<UserNet>> UserNet::Open(const NetdevContext& context, const std::string& id,
                                               const UserOptions& options) {
  const UserConfig config = TRY(UserConfigFrom(options));
  UniqueFd wake(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  int ends[2] = {-1, -1};
  if (!wake || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return CannotStart(errno);
  }
  std::shared_ptr<UserNet> net(new UserNet(id, *context.control, std::move(wake)));
  net->nic_end_ = std::make_shared<UniqueFd>(ends[0]);
  net->stack_end_.Reset(ends[1]);
  for (const int end : ends) {
    ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kPairBytes, sizeof(kPairBytes));
  }
  net->stack_ = TRY(SlirpStack::Create(
      config, [self = net.get()](std::span<const uint8_t> frame) { self->ToGuest(frame); }));
  TRY(net->OpenForwards(context, config));
  const SignalsBlocked blocked;
  net->thread_ = std::thread([self = net.get()] { self->Run(); });
  return net;
}

Result<> UserNet::OpenForwards(const NetdevContext& context, const UserConfig& config) {
  for (const HostForward& forward : config.host_forwards) {
    TRY(Prefix(stack_->Add(forward), "hostfwd="));
  }
  for (const GuestForward& forward : config.guest_forwards) {
    if (!forward.command.empty()) {
      TRY(stack_->AddCommand(forward));
      continue;
    }
    const std::string name = Format("guestfwd.tcp.{}", forward.port);
    std::shared_ptr<Chardev> chardev =
        TRY(Prefix(context.open_chardev(forward.chardev, name, Format("netdev '{}'", id_)), "guestfwd="));
    auto pipe = std::make_shared<GuestPipe>(control_, std::move(chardev), forward,
                                            [this](Work work) { PostWork(std::move(work)); });
    TRY(Prefix(pipe->Open(*stack_), "guestfwd="));
    pipes_.push_back(std::move(pipe));
  }
  return {};
}

UserNet::~UserNet() {
  if (thread_.joinable()) {
    {
      const MutexLock lock(mutex_);
      ending_ = true;
    }
    PostWork([](SlirpStack&) {});
    thread_.join();
  }
  stack_.reset();  // it may send frames while it goes
  for (const std::shared_ptr<GuestPipe>& pipe : pipes_) {
    pipe->Close();
  }
}

Result<> UserNet::SetActivePairs(unsigned pairs) {
  if (pairs != 1) {
    return Fail(Errc::kInvalidArgument, "netdev '{}' has one queue pair, not {}", id_, pairs);
  }
  return {};
}

Result<std::unique_ptr<NetChannel>> UserNet::OpenChannel(unsigned pair, EventLoop& loop) {
  TRY(SetActivePairs(pair + 1));
  return std::make_unique<PacketChannel>(loop, nic_end_);
}

void UserNet::PostWork(Work work) {
  const MutexLock lock(mutex_);
  work_.push_back(std::move(work));
  const uint64_t one = 1;
  static_cast<void>(!::write(wake_.get(), &one, sizeof(one)));  // it cannot be full
}

void UserNet::Change(Result<HostForward> rule, Result<> (SlirpStack::*change)(const HostForward&),
                     UniqueFunction<void(Result<>)> done) {
  PostWork([&control = control_, rule = std::move(rule), change, done = std::move(done)](SlirpStack& stack) mutable {
    Result<> result = rule ? (stack.*change)(*rule) : Result<>(tl::unexpected<Error>(rule.error()));
    control.Post([done = std::move(done), result = std::move(result)]() mutable { done(std::move(result)); });
  });
}

void UserNet::AddHostForward(const std::string& rule, UniqueFunction<void(Result<>)> done) {
  Change(ParseHostForward(rule), &SlirpStack::Add, std::move(done));
}

void UserNet::RemoveHostForward(const std::string& rule, UniqueFunction<void(Result<>)> done) {
  Change(ParseForwardedPort(rule), &SlirpStack::Remove, std::move(done));
}

void UserNet::ListConnections(UniqueFunction<void(std::string)> done) {
  PostWork([&control = control_, done = std::move(done)](SlirpStack& stack) mutable {
    control.Post([done = std::move(done), text = stack.Connections()] { done(text); });
  });
}

void UserNet::Run() {
  NameThisThread(Format("net {}", id_));
  std::vector<pollfd> fds;
  do {
    FlushToGuest();
    for (const std::shared_ptr<GuestPipe>& pipe : pipes_) {
      pipe->UpdateRoom(*stack_);
    }
    const auto pair_events = static_cast<short>(waiting_.empty() ? POLLIN : POLLIN | POLLOUT);
    fds.assign({{wake_.get(), POLLIN, 0}, {stack_end_.get(), pair_events, 0}});
    int timeout_ms = -1;
    stack_->BeforePoll(&fds, &timeout_ms);
    const bool failed = ::poll(fds.data(), fds.size(), timeout_ms) < 0;
    FromGuest();
    stack_->AfterPoll(fds, failed);
  } while (RunWork());
}

bool UserNet::RunWork() {
  uint64_t count = 0;
  static_cast<void>(!::read(wake_.get(), &count, sizeof(count)));
  std::vector<Work> work;
  bool ending = false;
  {
    const MutexLock lock(mutex_);
    work.swap(work_);
    ending = ending_;
  }
  for (const Work& each : work) {
    each(*stack_);
  }
  return !ending;
}

void UserNet::FromGuest() {
  for (unsigned i = 0; i < kFramesPerTurn; ++i) {
    const ssize_t got = ::recv(stack_end_.get(), frame_.data(), frame_.size(), 0);
    if (got <= 0) {
      return;
    }
    stack_->Input(std::span(frame_).first(static_cast<size_t>(got)));
  }
}

void UserNet::ToGuest(std::span<const uint8_t> frame) {
  if (waiting_.empty() && ::send(stack_end_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) >= 0) {
    return;
  }
  if (waiting_.size() >= kMaxWaiting) {
    dropped_frames_.Add();
    return;
  }
  waiting_.emplace_back(frame.begin(), frame.end());
}

void UserNet::FlushToGuest() {
  while (!waiting_.empty()) {
    const std::vector<uint8_t>& frame = waiting_.front();
    if (::send(stack_end_.get(), frame.data(), frame.size(), MSG_NOSIGNAL) < 0) {
      return;
    }
    waiting_.pop_front();
  }
}

}  // namespace nandu
