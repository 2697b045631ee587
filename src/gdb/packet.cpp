#include "gdb/packet.h"

namespace nandu {
namespace {

constexpr char kStart = '$';
constexpr char kEnd = '#';
constexpr char kEscape = '}';
constexpr char kEscapeBit = 0x20;
constexpr char kRunLength = '*';
constexpr char kInterruptByte = 0x03;
constexpr char kDigits[] = "0123456789abcdef";

}  // namespace

void GdbReader::TakeIdle(char byte, std::vector<Piece>* out) {
  switch (byte) {
    case kStart:
      state_ = State::kData;
      data_.clear();
      sum_ = 0;
      too_long_ = false;
      break;
    case kInterruptByte: out->push_back({Kind::kInterrupt, {}}); break;
    case '+': out->push_back({Kind::kAck, {}}); break;
    case '-': out->push_back({Kind::kNak, {}}); break;
    default: break;
  }
}

std::vector<GdbReader::Piece> GdbReader::Feed(std::span<const std::byte> bytes) {
  std::vector<Piece> out;
  for (const std::byte raw : bytes) {
    const char byte = static_cast<char>(raw);
    switch (state_) {
      case State::kIdle: TakeIdle(byte, &out); break;
      case State::kData:
        if (byte == kEnd) {
          state_ = State::kChecksum1;
          break;
        }
        [[fallthrough]];
      case State::kEscaped: {
        sum_ = static_cast<uint8_t>(sum_ + static_cast<uint8_t>(byte));
        if (state_ == State::kData && byte == kEscape) {
          state_ = State::kEscaped;
          break;
        }
        const char plain = state_ == State::kEscaped ? static_cast<char>(byte ^ kEscapeBit) : byte;
        state_ = State::kData;
        if (data_.size() == kMostBytes) {
          too_long_ = true;
        } else {
          data_.push_back(plain);
        }
        break;
      }
      case State::kChecksum1:
        first_digit_ = HexDigit(byte);
        state_ = State::kChecksum2;
        break;
      case State::kChecksum2: {
        const int second = HexDigit(byte);
        const bool good = first_digit_ >= 0 && second >= 0 && (first_digit_ << 4 | second) == sum_;
        state_ = State::kIdle;
        out.push_back(good && !too_long_ ? Piece{Kind::kPacket, std::move(data_)}
                                         : Piece{Kind::kBadPacket, {}});
        data_.clear();
        break;
      }
    }
  }
  return out;
}

std::string GdbPacket(std::string_view data) {
  std::string packet(1, kStart);
  uint8_t sum = 0;
  const auto put = [&](char byte) {
    packet.push_back(byte);
    sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(byte));
  };
  for (const char byte : data) {
    if (byte == kStart || byte == kEnd || byte == kEscape || byte == kRunLength) {
      put(kEscape);
      put(static_cast<char>(byte ^ kEscapeBit));
    } else {
      put(byte);
    }
  }
  packet.push_back(kEnd);
  packet.push_back(kDigits[sum >> 4]);
  packet.push_back(kDigits[sum & 0xf]);
  return packet;
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

std::string ToHex(std::span<const std::byte> bytes) {
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::byte byte : bytes) {
    text.push_back(kDigits[static_cast<unsigned>(byte) >> 4]);
    text.push_back(kDigits[static_cast<unsigned>(byte) & 0xf]);
  }
  return text;
}

bool FromHex(std::string_view text, std::vector<std::byte>* out) {
  if (text.size() % 2 != 0) {
    return false;
  }
  out->clear();
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = HexDigit(text[i]);
    const int low = HexDigit(text[i + 1]);
    if (high < 0 || low < 0) {
      return false;
    }
    out->push_back(static_cast<std::byte>(high << 4 | low));
  }
  return true;
}

bool TakeHex(std::string_view* text, uint64_t* value) {
  constexpr size_t kMostDigits = 16;
  size_t digits = 0;
  *value = 0;
  while (digits < text->size() && HexDigit((*text)[digits]) >= 0) {
    if (digits == kMostDigits) {
      return false;
    }
    *value = *value << 4 | static_cast<uint64_t>(HexDigit((*text)[digits]));
    ++digits;
  }
  text->remove_prefix(digits);
  return digits != 0;
}

}  // namespace nandu
