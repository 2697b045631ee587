#include "verbs/boot_watch.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace nandu {
namespace {

constexpr size_t kMostLineBytes = 4096;  // a guest that prints no line end
constexpr size_t kMostFirmwareBytes = size_t{1} << 20;

bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string_view Trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

// "debian login:": one word before it.
bool IsLoginPrompt(std::string_view line) {
  constexpr std::string_view kPrompt = " login:";
  const std::string_view text = Trimmed(line);
  return text.ends_with(kPrompt) && text.find(' ') == text.size() - kPrompt.size();
}

std::optional<BootStage> StageOf(std::string_view line) {
  if (IsLoginPrompt(line)) {
    return BootStage::kLogin;
  }
  if (Contains(line, "Cloud-init v.")) {
    return BootStage::kCloudInit;
  }
  if (Contains(line, "systemd[1]:") || Contains(line, " as init process")) {
    return BootStage::kInit;
  }
  if (Contains(line, "Linux version ") || Contains(line, "Decompressing Linux")) {
    return BootStage::kKernel;
  }
  if (Contains(line, "GRUB") || Contains(line, "Booting `") || Contains(line, "ISOLINUX") ||
      Contains(line, "systemd-boot")) {
    return BootStage::kBootLoader;
  }
  return std::nullopt;
}

// What a person would take for the reason when the boot ends right after it.
bool IsComplaint(std::string_view line) {
  return line.starts_with("error:") || Contains(line, "[FAILED]") || Contains(line, "ALERT!") ||
         Contains(line, "[DEPEND]");
}

}  // namespace

std::string_view NameOf(BootStage stage) {
  static constexpr std::array<std::string_view, 6> kNames = {"firmware", "boot loader", "kernel",
                                                             "init",     "cloud-init",  "login"};
  return kNames.at(static_cast<size_t>(stage));
}

void BootWatch::FreeRegex::operator()(regex_t* regex) const {
  ::regfree(regex);
  delete regex;  // NOLINT(cppcoreguidelines-owning-memory): regfree comes first
}

Result<BootWatch> BootWatch::Create(const std::string& expect) {
  BootWatch watch;
  if (expect.empty()) {
    return watch;
  }
  auto regex = std::make_unique<regex_t>();
  if (const int error = ::regcomp(regex.get(), expect.c_str(), REG_EXTENDED | REG_NOSUB); error != 0) {
    std::array<char, 200> text{};
    ::regerror(error, regex.get(), text.data(), text.size());
    return ::nandu::Fail(Errc::kInvalidArgument, "--expect '{}': {}", expect, text.data());
  }
  watch.expect_.reset(regex.release());
  return watch;
}

void BootWatch::Feed(std::string_view text, int64_t now_ms) {
  for (const char c : text) {
    if (!escape_.empty()) {
      escape_ += c;
      const bool bracket = escape_.size() > 1 && escape_[1] == '[';
      const bool ends = bracket ? escape_.size() > 2 && c >= '@' && c <= '~' : escape_.size() == 2;
      if (ends) {
        // A program that draws a screen moves to the next line instead of ending this one.
        if (bracket && (c == 'H' || c == 'J')) {
          TakeLine(now_ms);
        }
        escape_.clear();
      }
    } else if (c == '\x1b') {
      escape_ = c;
    } else if (c == '\n') {
      TakeLine(now_ms);
    } else if (c != '\r' && c != '\0' && line_.size() < kMostLineBytes) {
      line_ += c;
    }
  }
  Look(line_, false, now_ms);  // a prompt does not end its line
}

void BootWatch::FeedFirmware(std::string_view text) {
  if (firmware_.size() + text.size() > kMostFirmwareBytes) {
    firmware_.clear();
  }
  firmware_ += text;
  // SeaBIOS says so on its debug port and on the screen only.
  if (Contains(firmware_, "No bootable device")) {
    Fail("the firmware found nothing to boot: no disk of it has a boot loader");
  }
}

void BootWatch::TakeLine(int64_t now_ms) {
  const std::string line = std::exchange(line_, {});
  Look(line, true, now_ms);
  if (const std::string_view text = Trimmed(line); !text.empty()) {
    last_line_ = text;
    if (IsComplaint(text)) {
      complaint_ = text;
    }
  }
}

void BootWatch::Look(std::string_view line, bool whole, int64_t now_ms) {
  if (line.empty()) {
    return;
  }
  if (const std::optional<BootStage> stage = StageOf(line)) {
    Reach(*stage, now_ms);
  }
  if (expect_ != nullptr && ::regexec(expect_.get(), std::string(line).c_str(), 0, nullptr, 0) == 0) {
    reached_ = true;
  }
  constexpr std::string_view kPanic = "Kernel panic - not syncing: ";
  if (const size_t at = line.find(kPanic);
      whole && at != std::string_view::npos && !Contains(line, "end Kernel panic")) {
    Fail(Format("kernel panic: {}", Trimmed(line.substr(at + kPanic.size()))));
  }
  const auto with_complaint = [this](std::string_view what) {
    Fail(complaint_.empty() ? std::string(what) : Format("{}: {}", what, complaint_));
  };
  if (Contains(line, "You are in emergency mode")) {
    with_complaint("init gave up and went to emergency mode");
  } else if (Contains(line, "Dropping to a shell!") || line.starts_with("(initramfs)")) {
    with_complaint("the initramfs gave up and dropped to a shell");
  } else if (line.starts_with("grub rescue>")) {
    with_complaint("the boot loader is broken, GRUB is in its rescue shell");
  } else if (line.starts_with("grub>")) {
    with_complaint("the boot loader has nothing to boot, GRUB waits for commands");
  } else if (Contains(line, "No bootable option or device was found")) {
    Fail("the firmware found nothing to boot: no disk of it has a boot loader");
  }
}

void BootWatch::Reach(BootStage stage, int64_t now_ms) {
  if (stage > stages_.back().stage) {
    stages_.push_back({stage, now_ms});
    reached_ = reached_ || (stage == BootStage::kLogin && expect_ == nullptr);
  }
}

void BootWatch::Fail(std::string why) {
  if (!failure_) {
    failure_ = std::move(why);
  }
}

}  // namespace nandu
