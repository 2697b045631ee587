// The mux and its ports.
#include "chardev/mux.h"

#include <algorithm>
#include <cstring>

#include "base/time.h"

namespace nandu {
namespace {

constexpr size_t kPortInputBytes = 64;  // typed ahead of a front end that is busy; escapes work meanwhile
constexpr size_t kOwnTextBytes = 4096;  // beyond it the mux stays silent rather than growing

constexpr std::string_view kHelp =
    "\r\n"
    "C-a h    this help\r\n"
    "C-a x    quit nandu\r\n"
    "C-a c    switch between the guest's console and the monitor\r\n"
    "C-a b    send a break (the guest's magic SysRq on a serial console)\r\n"
    "C-a t    turn timestamps on and off\r\n"
    "C-a s    save disk changes under -snapshot (not possible yet)\r\n"
    "C-a C-a  send C-a itself\r\n";

}  // namespace

class Mux::Port final : public Chardev {
 public:
  explicit Port(std::shared_ptr<Mux> mux) : mux_(std::move(mux)) { mux_->ports_.push_back(this); }
  ~Port() override {
    Port::Detach();
    std::erase(mux_->ports_, this);
  }

  const std::string& id() const override { return mux_->base_->id(); }
  std::string filename() const override { return mux_->base_->filename(); }
  size_t Write(std::span<const std::byte> bytes) override { return mux_->Write(bytes); }
  void NotifyWritable(UniqueFunction<void()> on_writable) override {
    mux_->NotifyWritable(*this, std::move(on_writable));
  }
  Result<> Attach(FrontEnd front_end) override {
    if (front_end_) {
      return Fail(Errc::kBusy, "this port of chardev '{}' is already in use", id());
    }
    front_end_ = std::make_shared<FrontEnd>(std::move(front_end));
    if (connected()) {
      TellConnection(true);
    }
    if (mux_->focus_ == nullptr) {
      mux_->SetFocus(this);
    }
    return {};
  }
  void Detach() override {
    front_end_.reset();
    waiting_writer = nullptr;
    waiting_.clear();
    if (mux_->focus_ == this) {
      mux_->focus_ = nullptr;
      mux_->NextFocus();
    }
  }
  void AcceptInput() override {
    Deliver();
    mux_->base_->AcceptInput();
  }
  bool connected() const override { return mux_->base_->connected(); }

  bool attached() const { return front_end_ != nullptr; }
  size_t InputRoom() const { return kPortInputBytes - waiting_.size(); }
  void Type(char byte) { waiting_.push_back(byte); }
  void Deliver() {
    while (!waiting_.empty() && front_end_) {
      const std::shared_ptr<FrontEnd> front_end = front_end_;
      const size_t count = std::min(front_end->room ? front_end->room() : 0, waiting_.size());
      if (count == 0) {
        return;
      }
      const std::string chunk = waiting_.substr(0, count);
      waiting_.erase(0, count);
      front_end->data(std::as_bytes(std::span(chunk)));
    }
  }
  void TellConnection(bool open) {
    const std::shared_ptr<FrontEnd> front_end = front_end_;
    if (front_end && front_end->connection) {
      front_end->connection(open);
    }
  }
  void TellBreak() {
    const std::shared_ptr<FrontEnd> front_end = front_end_;
    if (front_end && front_end->break_condition) {
      front_end->break_condition();
    }
  }
  void TellFocus(bool focused) {
    const std::shared_ptr<FrontEnd> front_end = front_end_;
    if (front_end && front_end->focus) {
      front_end->focus(focused);
    }
  }

  UniqueFunction<void()> waiting_writer;

 private:
  const std::shared_ptr<Mux> mux_;
  std::shared_ptr<FrontEnd> front_end_;
  std::string waiting_;
};

Mux::Mux(std::shared_ptr<Chardev> base, UniqueFunction<void()> quit, char escape_key)
    : base_(std::move(base)), quit_(std::move(quit)), escape_key_(escape_key), start_ns_(MonotonicNs()) {}

Mux::~Mux() { base_->Detach(); }

Result<std::shared_ptr<Mux>> Mux::Create(std::shared_ptr<Chardev> base, UniqueFunction<void()> quit,
                                         char escape_key) {
  const std::shared_ptr<Mux> mux(new Mux(std::move(base), std::move(quit), escape_key));
  TRY(mux->Start());
  return mux;
}

Result<> Mux::Start() {
  return base_->Attach({.room = [this] { return Room(); },
                        .data = [this](std::span<const std::byte> bytes) { OnInput(bytes); },
                        .connection = [this](bool open) { OnConnection(open); },
                        .break_condition =
                            [this] {
                              if (focus_ != nullptr) {
                                focus_->TellBreak();
                              }
                            },
                        .focus = nullptr});
}

std::shared_ptr<Chardev> Mux::AddPort() { return std::make_shared<Port>(shared_from_this()); }

bool Mux::front_end_open() const {
  return std::any_of(ports_.begin(), ports_.end(), [](const Port* port) { return port->attached(); });
}

// ---- output ----
bool Mux::FlushOwnText() {
  const size_t taken = base_->Write(std::as_bytes(std::span(own_text_)));
  own_text_.erase(0, taken);
  return own_text_.empty();
}

size_t Mux::Write(std::span<const std::byte> bytes) {
  size_t done = 0;
  while (FlushOwnText() && done < bytes.size()) {
    std::span<const std::byte> line = bytes.subspan(done);
    if (timestamps_) {
      if (at_line_start_) {
        at_line_start_ = false;
        own_text_ = Timestamp();
        continue;
      }
      const auto* end = static_cast<const std::byte*>(std::memchr(line.data(), '\n', line.size()));
      if (end != nullptr) {
        line = line.first(static_cast<size_t>(end - line.data()) + 1);
      }
    }
    const size_t taken = base_->Write(line);
    done += taken;
    if (taken > 0) {
      at_line_start_ = line[taken - 1] == std::byte{'\n'};
    }
    if (taken < line.size()) {
      break;
    }
  }
  return done;
}

void Mux::NotifyWritable(Port& port, UniqueFunction<void()> on_writable) {
  port.waiting_writer = std::move(on_writable);
  base_->NotifyWritable([weak = weak_from_this()] {
    if (const std::shared_ptr<Mux> mux = weak.lock()) {
      mux->OnWritable();
    }
  });
}

void Mux::OnWritable() {
  const std::vector<Port*> ports = ports_;
  for (Port* port : ports) {
    if (std::find(ports_.begin(), ports_.end(), port) == ports_.end()) {
      continue;  // it left while an earlier one wrote
    }
    if (const UniqueFunction<void()> on_writable = std::exchange(port->waiting_writer, nullptr)) {
      on_writable();
    }
  }
}

std::string Mux::Timestamp() const {
  const int64_t ms = (MonotonicNs() - start_ns_) / 1'000'000;
  return Format("[{:02}:{:02}:{:02}.{:03}] ", ms / 3'600'000, ms / 60'000 % 60, ms / 1000 % 60, ms % 1000);
}

void Mux::Say(std::string_view text) {
  if (own_text_.size() + text.size() <= kOwnTextBytes) {
    own_text_ += text;
    FlushOwnText();
  }
}

// ---- input ----
size_t Mux::Room() const { return focus_ != nullptr ? focus_->InputRoom() : kPortInputBytes; }

void Mux::OnInput(std::span<const std::byte> bytes) {
  const std::shared_ptr<Mux> keep = shared_from_this();
  for (const std::byte each : bytes) {
    const char key = static_cast<char>(each);
    if (std::exchange(escaped_, false)) {
      OnEscape(key);
    } else if (key == escape_key_) {
      escaped_ = true;
    } else if (focus_ != nullptr && focus_->InputRoom() > 0) {
      focus_->Type(key);
    }
  }
  if (focus_ != nullptr) {
    focus_->Deliver();
  }
}

void Mux::OnEscape(char key) {
  if (key == escape_key_) {
    if (focus_ != nullptr && focus_->InputRoom() > 0) {
      focus_->Type(key);
    }
    return;
  }
  switch (key) {
    case '?':
    case 'h': Say(kHelp); break;
    case 'x':
      Say("\r\nnandu: terminated by the console\r\n");
      if (quit_) {
        quit_();
      }
      break;
    case 's':
      Say("\r\nnandu: what is written under -snapshot goes with the VM; it cannot be saved yet\r\n");
      break;
    case 't':
      timestamps_ = !timestamps_;
      at_line_start_ = true;
      break;
    case 'b':
      if (focus_ != nullptr) {
        focus_->TellBreak();
      }
      break;
    case 'c': NextFocus(); break;
    default: break;  // as QEMU: an unknown escape is dropped
  }
}

void Mux::OnConnection(bool open) {
  const std::vector<Port*> ports = ports_;
  for (Port* port : ports) {
    if (std::find(ports_.begin(), ports_.end(), port) != ports_.end()) {
      port->TellConnection(open);
    }
  }
}

void Mux::SetFocus(Port* port) {
  if (port == focus_) {
    return;
  }
  if (focus_ != nullptr) {
    focus_->Deliver();  // what was typed before the switch
    focus_->TellFocus(false);
  }
  focus_ = port;
  if (focus_ != nullptr) {
    focus_->TellFocus(true);
    base_->AcceptInput();
  }
}

void Mux::NextFocus() {
  const auto at = std::find(ports_.begin(), ports_.end(), focus_);
  const size_t start = at == ports_.end() ? ports_.size() - 1 : static_cast<size_t>(at - ports_.begin());
  for (size_t step = 1; step <= ports_.size(); ++step) {
    Port* candidate = ports_[(start + step) % ports_.size()];
    if (candidate->attached()) {
      SetFocus(candidate);
      return;
    }
  }
}

}  // namespace nandu
