// A short list whose copies share its items: one pointer, null when empty. So an order can stand in
// the book, in an event and in an answer at the same time without a list of it being copied. What a
// list holds never changes; to change a list is to give it other items. Copies may end on other
// threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace cocoon::matching {

template <class T>
class List {
public:
    using value_type = T;

    List() noexcept = default;
    List(std::initializer_list<T> items) : List{std::span<const T>{items.begin(), items.size()}} {}
    List(const std::vector<T>& items) : List{std::span<const T>{items}} {}
    explicit List(std::span<const T> items) {
        if (items.empty()) return;
        std::unique_ptr<void, Release> place{::operator new(sizeof(Block) + items.size_bytes())};
        Block* block = ::new (place.get()) Block{1, static_cast<std::uint32_t>(items.size())};
        std::uninitialized_copy(items.begin(), items.end(), block->items());
        block_ = block;
        place.release();
    }
    List(const List& other) noexcept : block_{other.block_} {
        if (block_ != nullptr) block_->holders.fetch_add(1, std::memory_order_relaxed);
    }
    List(List&& other) noexcept : block_{std::exchange(other.block_, nullptr)} {}
    List& operator=(List other) noexcept {
        std::swap(block_, other.block_);
        return *this;
    }
    ~List() {
        if (block_ != nullptr) let_go();
    }

    const T* begin() const { return block_ ? block_->items() : nullptr; }
    const T* end() const { return begin() + size(); }
    std::size_t size() const { return block_ ? block_->size : 0; }
    bool empty() const { return block_ == nullptr; }
    const T& operator[](std::size_t index) const { return begin()[index]; }
    const T& front() const { return *begin(); }
    operator std::span<const T>() const { return {begin(), size()}; }
    friend bool operator==(const List& a, const List& b) {
        return a.block_ == b.block_ || std::equal(a.begin(), a.end(), b.begin(), b.end());
    }

    // The same and one more. Costs a copy of all: lists are short and rarely grow.
    List with(T item) const {
        std::vector<T> items{begin(), end()};
        items.push_back(std::move(item));
        return List{items};
    }

private:
    struct Block {
        std::atomic<std::uint32_t> holders;
        std::uint32_t size;
        T* items() { return reinterpret_cast<T*>(this + 1); }
    };
    static_assert(sizeof(Block) % alignof(T) == 0 && alignof(T) <= alignof(std::max_align_t));
    struct Release {
        void operator()(void* place) const { ::operator delete(place); }
    };

    void let_go() {
        // The only holder need not count down: nobody else can take part any more.
        if (block_->holders.load(std::memory_order_acquire) != 1 &&
            block_->holders.fetch_sub(1, std::memory_order_acq_rel) != 1)
            return;
        std::destroy_n(block_->items(), block_->size);
        std::destroy_at(block_);
        ::operator delete(block_);
    }

    Block* block_ = nullptr;
};

}  // namespace cocoon::matching
