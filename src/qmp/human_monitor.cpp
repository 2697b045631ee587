#include "qmp/human_monitor.h"

#include <utility>

namespace nandu {
namespace {

constexpr std::string_view kPrompt = "(qemu) ";
constexpr size_t kLongestLine = 4096;
constexpr size_t kMaxWaitingBytes = size_t{1} << 20;
constexpr size_t kReadBytes = 256;  // small: a line may start a command that takes no more input for a while

constexpr char kBell = '\a';
constexpr char kCtrlC = '\x03';
constexpr char kCtrlU = '\x15';
constexpr char kEscape = '\x1b';
constexpr char kDelete = '\x7f';

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}  // of a UTF-8 character

}  // namespace

HumanMonitor::HumanMonitor(HumanCommands& commands, std::shared_ptr<Chardev> chardev, bool shares_terminal)
    : commands_(commands), chardev_(std::move(chardev)), visible_(!shares_terminal) {}

HumanMonitor::~HumanMonitor() {
  output_.reset();
  if (attached_) {
    chardev_->Detach();
  }
}

Result<> HumanMonitor::Start() {
  Chardev::FrontEnd front_end;
  front_end.room = [this] { return Room(); };
  front_end.data = [this](std::span<const std::byte> bytes) { OnData(bytes); };
  front_end.connection = [this](bool open) { OnConnection(open); };
  front_end.focus = [this](bool focused) { OnFocus(focused); };
  TRY(Prefix(chardev_->Attach(std::move(front_end)), Format("monitor on chardev '{}'", chardev_->id())));
  attached_ = true;
  return {};
}

void HumanMonitor::OnConnection(bool open) {
  output_.reset();
  line_.clear();
  keys_.clear();
  escape_ = Escape::kNone;
  after_return_ = false;
  busy_ = false;
  greeted_ = false;
  if (open) {
    output_ = std::make_shared<MonitorOutput>(*chardev_, kMaxWaitingBytes, [] {});
    Greet();
  }
}

void HumanMonitor::OnFocus(bool focused) {
  visible_ = focused;
  if (focused && greeted_ && !busy_) {
    Put(Format("\n{}{}", kPrompt, line_));
  }
  Greet();
}

void HumanMonitor::Greet() {
  if (output_ && visible_ && !std::exchange(greeted_, true)) {
    Put(Format("{}\n{}", commands_.Banner(), kPrompt));
  }
}

// ---- keys ----

size_t HumanMonitor::Room() const {
  input_paused_ = busy_ || !keys_.empty();
  return input_paused_ ? 0 : kReadBytes;
}

void HumanMonitor::OnData(std::span<const std::byte> bytes) {
  if (!output_) {
    return;
  }
  keys_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  in_data_ = true;
  TakeKeys();
  in_data_ = false;
}

void HumanMonitor::TakeKeys() {
  if (std::exchange(taking_keys_, true)) {
    return;  // a command that was done at once: the loop below goes on
  }
  size_t taken = 0;
  while (!busy_ && taken < keys_.size()) {
    OnKey(keys_[taken++]);
  }
  keys_.erase(0, taken);
  taking_keys_ = false;
  if (!in_data_ && input_paused_ && Room() > 0) {
    chardev_->AcceptInput();
  }
}

void HumanMonitor::OnKey(char key) {
  const bool after_return = std::exchange(after_return_, key == '\r');
  if (escape_ != Escape::kNone) {
    // Cursor keys and the like (ECMA-48, 5.4: ESC [ parameters, then one of @ to ~) do nothing here, and
    // leave no letters behind.
    const bool ends = escape_ == Escape::kStarted ? key != '[' && key != 'O' : key >= '@' && key <= '~';
    escape_ = ends ? Escape::kNone : Escape::kSequence;
    return;
  }
  switch (key) {
    case '\n':
      if (!after_return) {
        OnLine();
      }
      return;
    case '\r': OnLine(); return;
    case '\b':
    case kDelete: EraseCharacter(); return;
    case kCtrlU:
      while (!line_.empty()) {
        EraseCharacter();
      }
      return;
    case kCtrlC:
      line_.clear();
      Put(Format("^C\n{}", kPrompt));
      return;
    case kEscape: escape_ = Escape::kStarted; return;
    default: break;
  }
  if (static_cast<unsigned char>(key) < 0x20 || line_.size() >= kLongestLine) {
    Put(std::string_view(&kBell, 1));
    return;
  }
  line_ += key;
  Put(std::string_view(&key, 1));
}

void HumanMonitor::EraseCharacter() {
  if (line_.empty()) {
    return;
  }
  while (line_.size() > 1 && IsContinuation(line_.back())) {
    line_.pop_back();
  }
  line_.pop_back();
  Put("\b \b");
}

void HumanMonitor::OnLine() {
  const std::string line = std::exchange(line_, {});
  Put("\n");
  busy_ = true;
  commands_.Execute(line, [this, client = std::weak_ptr(output_)](const std::string& text) {
    if (client.expired()) {
      return;  // whoever asked has left
    }
    busy_ = false;
    Put(text + std::string(kPrompt));
    TakeKeys();
  });
}

void HumanMonitor::Put(std::string_view text) {
  std::string bytes;
  for (const char c : text) {
    if (c == '\n') {
      bytes += '\r';
    }
    bytes += c;
  }
  if (output_ && !output_->Put(bytes)) {
    output_.reset();  // who reads nothing is told nothing more
    chardev_->DropPeer();
  }
}

}  // namespace nandu
