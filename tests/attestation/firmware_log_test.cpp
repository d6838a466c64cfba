// The firmware's event log: against bytes and registers made by another program, each lie and each
// malformed byte.
#include <algorithm>
#include <functional>

#include "tests/attestation/firmware_log_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

// Made by another implementation, with its registers.
const char* const other_log =
    "01000000030000000000000000000000000000000000000000000000210000005370656320494420"
    "4576656e743033000000000000026902010000000c00300000010000000b000080010000000c0040"
    "fdadda3dd89339249f85f4810bb72dda423a8da177ea651c7c49fe5f14e1e5bfb1a0e087e9e93ffe"
    "07d650afbcfecf0700000068616e646f66660100000004000000010000000c00394341b7182cd227"
    "c5c6b07ef8000cdfd86136c4292b8e576573ad7ed9ae41019f5818b4b971c9effc60e1ad9f1289f0"
    "04000000000000000200000003000080010000000c0031002be98c8bada356393344bcdf5ce61941"
    "a4bd36424de379c65d1d68d24743c8aae27c6e9875a00c971196554d12ed0b000000626f6f74206c"
    "6f61646572030000000d000000010000000c00cbf5914d2e0fd935c45c0022f1316bcba3b3297b00"
    "7979e7274febdd808e88abb6b30dc50a3124a57a3d379965ce3786140000006b65726e656c20636f"
    "6d6d616e64206c696e65000200000007000080010000000c00214b0bef1379756011344877743fdc"
    "2a5382bac6e70362d624ccf3f654407c1b4badf7d8f9295dd3dabdef65b27677e01d000000457869"
    "7420426f6f7420536572766963657320496e766f636174696f6e0000000003000000000000000400"
    "00006e6f7465";
const char* const other_registers[] = {
    "3a8eeb0a4cf4ee1558fbb417ef9cb471f1c8c2873aa7433917c59ab8950c705ec52818378d5c3621"
    "1298fb0a018da520",
    "e53b6c0d1e8e16e6863a977ed2e625ca31af68eb0f0df776cc2f1726174c06fdb5755dd13210119f"
    "cb5f71ad1fe4bc22",
    "765ef112a5e11407cbd8a3ee1898273671c46edbbfc35d60994becb00e8509d30ed7b05df0540db0"
    "82b570ac7157fcca",
    "0000000000000000000000000000000000000000000000000000000000000000"
    "00000000000000000000000000000000"};

std::string failed(const std::vector<MeasuredEvent>& events, const Registers& rtmrs) {
    std::string out;
    for (const Reason& reason : check_firmware_log(events, rtmrs))
        if (reason.outcome == Outcome::failed) out += (out.empty() ? "" : " ") + reason.code;
    return out;
}

}  // namespace

TEST_CASE("a firmware's log made elsewhere reads, and replays to the registers computed there") {
    const Bytes log = *from_hex(other_log);
    REQUIRE(log.size() == 486);
    FirmwareLogMaker maker;
    maker.padding.clear();
    CHECK(maker.make() == log);
    for (const Bytes& padding : {Bytes{}, Bytes(1, 0xFF), Bytes(5000, 0xFF), Bytes(5000, 0)}) {
        Bytes area = log;
        append(area, padding);
        const auto read = parse_firmware_log(area);
        REQUIRE(read.has_value());
        CHECK(read->used_bytes == log.size());
        REQUIRE(read->events.size() == 5);
        CHECK(read->events[2].type == 0x80000003);
        CHECK(as_text(read->events[2].payload) == "boot loader");
        const Registers registers = replay(read->events);
        for (std::size_t i = 0; i < 4; ++i) CHECK(to_hex(registers[i]) == other_registers[i]);
        CHECK(failed(read->events, registers).empty());
    }
}

TEST_CASE("each lie in a firmware's log is found, and RTMR3 is the guest's own") {
    struct Row {
        const char* codes;
        std::function<void(FirmwareLogMaker&)> edit;
    };
    using M = FirmwareLogMaker&;
    const Row rows[] = {
        {"rtmr0", [](M m) { m.events.erase(m.events.begin()); }},
        {"rtmr0", [](M m) { std::swap(m.events[0], m.events[1]); }},
        {"rtmr1", [](M m) { m.events[2].data += "x"; }},
        {"rtmr1 rtmr2", [](M m) { m.events[3].measured_register = 2; }},
        {"rtmr3",
         [](M m) {
             m.events.push_back({4, 5, "later", {}, false});
         }},
        {"",
         [](M m) {
             m.events.push_back({0, 5, "of MRTD", {}, false});
         }},
        {"", [](M m) { m.events.pop_back(); }},
    };
    const Registers rtmrs = replay(parse_firmware_log(FirmwareLogMaker{}.make())->events);
    for (const Row& row : rows) {
        FirmwareLogMaker maker;
        row.edit(maker);
        const auto log = parse_firmware_log(maker.make());
        REQUIRE(log.has_value());
        CHECK(failed(log->events, rtmrs) == row.codes);
    }
    Registers extended = rtmrs;
    extended[3].fill(1);
    CHECK(failed(parse_firmware_log(FirmwareLogMaker{}.make())->events, extended).empty());
}

TEST_CASE("other digests beside SHA-384 are passed over") {
    FirmwareLogMaker maker;
    maker.algorithms = {{0x000B, 32}, {0x000C, 48}};
    maker.vendor = "vendor";
    const auto usual = parse_firmware_log(FirmwareLogMaker{}.make());
    for (FirmwareEvent& event : maker.events) {
        if (event.no_digests) continue;
        const Digest384 hash = sha384(as_bytes(event.data));
        event.digests = {{std::uint16_t{0x000B}, Bytes(32, 1)},
                         {std::uint16_t{0x000C}, Bytes{hash.begin(), hash.end()}}};
    }
    const auto log = parse_firmware_log(maker.make());
    REQUIRE(log.has_value());
    CHECK(log->events == usual->events);
}

TEST_CASE("what is no firmware's log is refused") {
    const auto sha384_of = [](std::size_t size) {
        return std::vector<std::pair<std::uint16_t, Bytes>>{
            {std::uint16_t{0x000C}, Bytes(size, 1)}};
    };
    using M = FirmwareLogMaker&;
    const std::function<void(M)> edits[] = {
        [](M m) { m.header_type = 4; },
        [](M m) { m.signature[14] = '4'; },
        [](M m) { m.algorithms = {}; },
        [](M m) {
            m.algorithms = {{0x000B, 32}};
        },
        [](M m) {
            m.algorithms = {{0x000C, 32}};
        },
        [](M m) {
            m.algorithms = {{0x000C, 48}, {0x000C, 48}};
        },
        [](M m) {
            m.algorithms = {{0x000C, 48}, {0x000B, 0}};
        },
        [](M m) {
            m.algorithms = {{0x000C, 48}, {0x000B, 65}};
        },
        [](M m) {
            for (std::uint16_t i = 0; i < 8; ++i) m.algorithms.push_back({i, 20});
        },
        [](M m) { m.events[0].measured_register = 5; },
        [](M m) { m.events[0].measured_register = 0xFFFFFFFF; },
        [](M m) { m.events[0].no_digests = true; },
        [](M m) {
            m.events[0].digests = {{std::uint16_t{0x000B}, Bytes(32, 1)}};
        },
        [&](M m) {
            m.events[0].digests = sha384_of(48);
            m.events[0].digests.push_back(m.events[0].digests[0]);
        },
        [&](M m) { m.events[0].digests = sha384_of(47); },
        [](M m) { m.padding[63] = 0; },
        [](M m) {
            m.padding = {0, 0xFF};
        },
        [](M m) { m.padding = {1}; },
        [](M m) { m.padding.resize(firmware_log_bytes_max, 0xFF); },
        [](M m) { m.events.resize(event_log_events_max + 1); },
    };
    int number = 0;
    for (const auto& edit : edits) {
        INFO("row " << number++);
        FirmwareLogMaker maker;
        edit(maker);
        CHECK_FALSE(parse_firmware_log(maker.make()).has_value());
    }
    FirmwareLogMaker full;
    full.events.resize(event_log_events_max);
    CHECK(parse_firmware_log(full.make()).has_value());
}

TEST_CASE("a firmware's log that is cut short does not replay, nor one with a flipped digest") {
    FirmwareLogMaker maker;
    maker.padding.clear();
    maker.events.pop_back();  // ends with a measured event
    const Bytes good = maker.make();
    const auto whole = parse_firmware_log(good);
    REQUIRE(whole.has_value());
    const Registers rtmrs = replay(whole->events);
    std::size_t boundaries = 0;
    for (std::size_t size = 0; size < good.size(); ++size) {
        const auto cut = parse_firmware_log(ByteView{good}.first(size));
        if (!cut) continue;
        ++boundaries;
        CHECK_FALSE(failed(cut->events, rtmrs).empty());
    }
    CHECK(boundaries >= maker.events.size());  // after the header and after each event but the last
    std::size_t flips = 0;
    for (const MeasuredEvent& event : whole->events) {
        const auto at =
            std::search(good.begin(), good.end(), event.digest.begin(), event.digest.end());
        REQUIRE(at != good.end());
        for (std::ptrdiff_t i = 0; i < 48; ++i) {
            Bytes flipped = good;
            flipped[static_cast<std::size_t>(at - good.begin() + i)] ^= 1;
            const auto log = parse_firmware_log(flipped);
            REQUIRE(log.has_value());
            CHECK_FALSE(failed(log->events, rtmrs).empty());
            ++flips;
        }
    }
    CHECK(flips == 5 * 48);
}
