// Registers of an AHCI host bus adapter. Serial ATA AHCI 1.3.1, section 3. Constants only.
#pragma once

#include <array>
#include <cstdint>

namespace nandu::ahci {

// Generic host control (3.1).
constexpr uint64_t kCapabilities = 0x00;
constexpr uint64_t kGlobalControl = 0x04;
constexpr uint64_t kInterruptStatus = 0x08;
constexpr uint64_t kPortsImplemented = 0x0c;
constexpr uint64_t kVersion = 0x10;

// Six ports, 32 command slots, generation 1 speed, NCQ, 64-bit addresses, AHCI only.
constexpr uint32_t kCapabilityBits = 5 | 31 << 8 | 1 << 18 | 1 << 20 | 1u << 30 | 1u << 31;
constexpr uint32_t kVersion10 = 0x00010000;
constexpr uint32_t kHbaReset = 1 << 0;
constexpr uint32_t kInterruptEnable = 1 << 1;
constexpr uint32_t kAhciEnable = 1u << 31;

// Ports (3.3), 128 bytes each.
constexpr uint64_t kFirstPort = 0x100;
constexpr uint64_t kPortBytes = 0x80;
constexpr uint64_t kListBase = 0x00;
constexpr uint64_t kListBaseUpper = 0x04;
constexpr uint64_t kFisBase = 0x08;
constexpr uint64_t kFisBaseUpper = 0x0c;
constexpr uint64_t kPortInterruptStatus = 0x10;
constexpr uint64_t kPortInterruptEnable = 0x14;
constexpr uint64_t kCommand = 0x18;
constexpr uint64_t kTaskFile = 0x20;
constexpr uint64_t kSignature = 0x24;
constexpr uint64_t kSataStatus = 0x28;
constexpr uint64_t kSataControl = 0x2c;
constexpr uint64_t kSataError = 0x30;
constexpr uint64_t kSataActive = 0x34;
constexpr uint64_t kCommandIssue = 0x38;

constexpr uint32_t kStart = 1 << 0;
constexpr uint32_t kFisReceive = 1 << 4;
constexpr uint32_t kFisRunning = 1 << 14;
constexpr uint32_t kListRunning = 1 << 15;
constexpr uint32_t kCommandWritable = 0x0f82001f;
constexpr uint32_t kInterruptsThere = 0xfdc000ff;
constexpr uint32_t kDeviceToHost = 1 << 0;    // PxIS, DHRS
constexpr uint32_t kPioSetup = 1 << 1;        // PSS
constexpr uint32_t kSetDeviceBits = 1 << 3;   // SDBS
constexpr uint32_t kHostBusFatal = 1 << 29;   // HBFS
constexpr uint32_t kTaskFileError = 1 << 30;  // TFES
constexpr uint32_t kTaskFileBusy = 0x80;      // PxTFD, STS.BSY
constexpr uint32_t kLinkUp = 0x113;           // PxSSTS: a device, generation 1, active
constexpr uint32_t kDetection = 0x0f;         // PxSCTL, DET
constexpr uint32_t kDetectionReset = 1;

// Serial ATA 3.x, 10.5.6: a register FIS with the interrupt bit from a drive that is not there, and where it
// is received (4.2.1).
constexpr uint64_t kReceivedRegisterFis = 0x40;
constexpr std::array<uint8_t, 20> kAbsentFis = {0x34, 0x40, 0x50, 0x00, 0x01, 0xff, 0xff, 0xa0, 0x00, 0x00,
                                                0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
constexpr uint32_t kAbsentTaskFile = 0x50;
constexpr uint32_t kAbsentSignature = 0xffff0101;

// The received FIS structure (4.2.1) and the types in it (Serial ATA 3.x, 10.5).
constexpr uint64_t kReceivedPioSetup = 0x20;
constexpr uint64_t kReceivedSetDeviceBits = 0x58;
constexpr uint8_t kFisHostToDevice = 0x27;
constexpr uint8_t kFisDeviceToHost = 0x34;
constexpr uint8_t kFisPioSetup = 0x5f;
constexpr uint8_t kFisSetDeviceBits = 0xa1;
constexpr uint8_t kFisInterrupt = 0x40;
constexpr uint8_t kFisToMemory = 0x20;  // of a PIO setup

// A command header (4.2.2) and its table (4.2.3).
constexpr uint64_t kHeaderBytes = 32;
constexpr uint64_t kHeaderMoved = 4;  // PRDBC
constexpr uint32_t kHeaderAtapi = 1 << 5;
constexpr uint64_t kTablePacket = 0x40;
constexpr uint64_t kTableRegions = 0x80;
constexpr uint64_t kRegionBytes = 16;

// The index-data pair (2.3.1).
constexpr uint64_t kIndexPort = 0x10;
constexpr uint64_t kDataPort = 0x14;
constexpr uint32_t kIndexMask = 0xffc;

}  // namespace nandu::ahci
