// virtio-console's guest half and its bus.
#include "devices/virtio/console/console_device.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace nandu {
namespace {

constexpr uint16_t kControlQueueSize = 32;
constexpr uint16_t kPortQueueSize = 128;

}  // namespace

ConsoleDevice::ConsoleDevice(ControlLoop& control, EventLoop& loop, const Options& options)
    : control_(control),
      loop_(loop),
      options_(options),
      config_{0, 0, options.max_ports, 0},
      data_(std::make_shared<ConsoleData>(loop)) {}

ConsoleDevice::~ConsoleDevice() {
  loop_.Post([data = std::move(data_)]() mutable { data.reset(); });
}

// ---- the bus ----
Result<uint32_t> ConsoleDevice::ChooseNumber(const NewPort& port) const {
  if (port.number) {
    if (*port.number >= options_.max_ports) {
      return Fail(Errc::kInvalidArgument, "nr={} is out of range; this bus has ports 0 to {} (max_ports=)",
                  *port.number, options_.max_ports - 1);
    }
    if (*port.number == 0 && port.kind == PortKind::kSerial) {
      return Fail(Errc::kInvalidArgument, "port 0 is kept for a virtconsole; use nr=1 or higher");
    }
    if (ports_.contains(*port.number)) {
      return Fail(Errc::kExists, "port {} is taken; choose another nr=", *port.number);
    }
    return *port.number;
  }
  if (port.kind == PortKind::kConsole && !ports_.contains(0)) {
    return 0;
  }
  for (uint32_t number = 1; number < options_.max_ports; ++number) {
    if (!ports_.contains(number)) {
      return number;
    }
  }
  return Fail(Errc::kBusy, "all {} ports of this bus are taken; add another virtio-serial-pci",
              options_.max_ports);
}

Result<uint32_t> ConsoleDevice::AddPort(NewPort port) {
  uint32_t number = 0;
  {
    const MutexLock lock(mutex_);
    number = TRY(ChooseNumber(port));
    const bool taken = std::any_of(ports_.begin(), ports_.end(), [&](const auto& each) {
      return !port.name.empty() && each.second.name == port.name;
    });
    if (taken) {
      return Fail(Errc::kExists, "a port named '{}' exists on this bus; choose another name=", port.name);
    }
  }
  const std::weak_ptr<ConsoleData> data = data_;
  HostPort host;
  host.name = port.name;
  host.port = ConsolePort::Create(std::move(port.chardev), [&loop = loop_, data, number](bool open) {
    loop.Post([data, number, open] {
      if (const std::shared_ptr<ConsoleData> alive = data.lock()) {
        alive->SetConnected(number, open);
      }
    });
  });
  // Each side is woken once, however often the other one asks before it runs.
  auto wake_host = [&control = control_, weak = std::weak_ptr<ConsolePort>(host.port),
                    posted = std::make_shared<std::atomic<bool>>()] {
    if (!posted->exchange(true)) {
      control.Post([weak, posted] {
        posted->store(false);
        if (const std::shared_ptr<ConsolePort> alive = weak.lock()) {
          alive->Pump();
        }
      });
    }
  };
  auto wake_guest = [&loop = loop_, data, number, posted = std::make_shared<std::atomic<bool>>()] {
    if (!posted->exchange(true)) {
      loop.Post([data, number, posted] {
        posted->store(false);
        if (const std::shared_ptr<ConsoleData> alive = data.lock()) {
          alive->Serve(number);
        }
      });
    }
  };
  host.pipe = std::make_shared<ConsolePipe>(std::move(wake_host), std::move(wake_guest));
  host.port->SetPipe(host.pipe);
  data_->AddPort({number, port.kind, port.name}, host.pipe);
  if (Result<> attached = host.port->Attach(); !attached) {
    data_->RemovePort(number);
    return tl::unexpected<Error>(std::move(attached).error());
  }
  const MutexLock lock(mutex_);
  ports_.emplace(number, std::move(host));
  return number;
}

void ConsoleDevice::RemovePort(uint32_t number) {
  HostPort gone;
  {
    const MutexLock lock(mutex_);
    const auto found = ports_.find(number);
    if (found == ports_.end()) {
      return;
    }
    gone = std::move(found->second);
    ports_.erase(found);
  }
  gone.port->Detach();
  data_->RemovePort(number);
}

// ---- the guest ----
uint64_t ConsoleDevice::Features() const {
  return (options_.max_ports > 1 ? console::kFeatureMultiport : 0) |
         (options_.emergency_write ? console::kFeatureEmergencyWrite : 0);
}

uint16_t ConsoleDevice::MaxQueueSize(unsigned index) const {
  const bool control = index == console::kControlReceiveQueue || index == console::kControlTransmitQueue;
  return control ? kControlQueueSize : kPortQueueSize;
}

std::span<const std::byte> ConsoleDevice::Config() const { return std::as_bytes(std::span(&config_, 1)); }

// 5.3.4: a byte written to emerg_wr goes out even before the driver set any queue up.
void ConsoleDevice::WriteConfig(uint32_t offset, std::span<const std::byte> bytes) {
  std::shared_ptr<ConsolePipe> pipe;
  if (options_.emergency_write && offset == offsetof(console::Config, emergency_write)) {
    const MutexLock lock(mutex_);
    const auto found = ports_.find(0);
    pipe = found == ports_.end() ? nullptr : found->second.pipe;
  }
  if (!pipe || bytes.empty() || pipe->PushToHost(bytes.first(1)) == 0) {
    data_->counters().ignored_config_writes.Add();
  }
}

Result<> ConsoleDevice::Activate(ActivateArgs args, std::vector<RequeuedChains> requeue) {
  for (const RequeuedChains& each : requeue) {
    if (!each.parked.empty()) {
      return Fail(Errc::kCorrupt, "virtio-console: queue {} has parked requests, and a console parks none",
                  each.index);
    }
  }
  loop_.Post([data = data_, queues = std::move(args.queues), features = args.features]() mutable {
    data->Activate(std::move(queues), features);
  });
  return {};
}

void ConsoleDevice::Quiesce(UniqueFunction<void(std::vector<QueueAtRest>)> done) {
  loop_.Post([data = data_, done = std::move(done)] { done(data->Quiesce()); });
}

void ConsoleDevice::QuiesceQueue(unsigned index, UniqueFunction<void(QueueAtRest)> done) {
  loop_.Post([data = data_, index, done = std::move(done)] {
    std::optional<QueueAtRest> queue = data->QuiesceQueue(index);
    NANDU_CHECK(queue.has_value(), "only a queue that is active is quiesced");
    done(std::move(*queue));
  });
}

Result<> ConsoleDevice::ActivateQueue(ActiveQueue queue) {
  loop_.Post([data = data_, queue = std::move(queue)]() mutable { data->ActivateQueue(std::move(queue)); });
  return {};
}

Result<> ConsoleDevice::Load(const StateReader& reader) {
  const ConsoleState state = TRY(reader.Get<ConsoleState>());
  std::vector<uint32_t> numbers;
  {
    const MutexLock lock(mutex_);
    for (const auto& [number, port] : ports_) {
      numbers.push_back(number);
    }
  }
  TRY(Prefix(CheckConsoleState(state, numbers), reader.id()));
  data_->Load(state);
  return {};
}

}  // namespace nandu
