// A table of records by dense id: two loads to find one, addresses that never move, iteration in
// the order of ids. Ended records leave and their places are reused, so nothing is allocated at a
// steady load; records are made one by one, so that no insertion pays for a whole chunk. Used by
// State only.
#pragma once

#include <array>
#include <memory>
#include <new>
#include <vector>

#include "core/ensure.hpp"

namespace cocoon::matching {

template <class IdType, class T>
class Table {
public:
    Table() = default;
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    ~Table() {
        for_each([](T& record) { std::destroy_at(&record); });
    }

    T* find(IdType id) {
        const std::uint64_t page = id.value / page_ids;
        if (page >= pages_.size() || !pages_[page]) return nullptr;
        return pages_[page]->records[id.value % page_ids];
    }
    const T* find(IdType id) const { return const_cast<Table*>(this)->find(id); }

    // T{from...} in its place. REQUIRES: the id is not in the table.
    template <class... From>
    T& insert(IdType id, From&&... from) {
        const std::uint64_t index = id.value / page_ids;
        if (index >= pages_.size()) pages_.resize(index + 1);
        if (!pages_[index]) pages_[index] = std::make_unique<Page>();
        T*& place = pages_[index]->records[id.value % page_ids];
        ENSURE(place == nullptr);
        place = ::new (vacant()) T{std::forward<From>(from)...};
        ++pages_[index]->used;
        ++size_;
        return *place;
    }

    // REQUIRES: the id is in the table.
    void erase(IdType id) {
        std::unique_ptr<Page>& page = pages_[id.value / page_ids];
        T*& place = page->records[id.value % page_ids];
        ENSURE(place != nullptr);
        std::destroy_at(place);
        free_.push_back(place);
        place = nullptr;
        --size_;
        if (--page->used == 0) page.reset();
    }

    // Brings a record near that will soon be looked at: a miss costs more than all the rest of a
    // command.
    void expect(IdType id) const {
        const T* record = find(id);
        if (record == nullptr) return;
        for (std::size_t offset = 0; offset < sizeof(T); offset += 64)
            __builtin_prefetch(reinterpret_cast<const std::byte*>(record) + offset);
    }

    std::size_t size() const { return size_; }

    template <class Visit>
    void for_each(Visit&& visit) {
        for (auto& page : pages_)
            if (page)
                for (T* record : page->records)
                    if (record) visit(*record);
    }
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const auto& page : pages_)
            if (page)
                for (const T* record : page->records)
                    if (record) visit(*record);
    }

    // Bytes that the table itself holds (records, directory), without what records own elsewhere.
    std::size_t bytes() const {
        std::size_t total = pages_.capacity() * sizeof(void*) + free_.capacity() * sizeof(void*) +
                            chunks_.size() * chunk_records * sizeof(T);
        for (const auto& page : pages_) total += page ? sizeof(Page) : 0;
        return total;
    }

private:
    static constexpr std::size_t page_ids = 512, chunk_records = 64;
    struct Page {
        std::array<T*, page_ids> records{};
        std::uint32_t used = 0;
    };

    struct alignas(T) Place {
        std::byte bytes[sizeof(T)];
    };

    void* vacant() {
        if (!free_.empty()) {
            void* place = free_.back();
            free_.pop_back();
            return place;
        }
        if (chunk_used_ == chunk_records) {
            chunks_.push_back(
                std::unique_ptr<Place[]>{new Place[chunk_records]});  // not touched yet
            chunk_used_ = 0;
        }
        return &chunks_.back()[chunk_used_++];
    }

    std::vector<std::unique_ptr<Page>> pages_;
    std::vector<std::unique_ptr<Place[]>> chunks_;
    std::vector<void*> free_;
    std::size_t size_ = 0, chunk_used_ = chunk_records;
};

}  // namespace cocoon::matching
