//! The seats of a simulation. A seat that is given up is used again, so a long run needs no more than are taken at a time.

use crate::event::PeerId;
use crate::seat::Seat;

#[derive(Default)]
struct Chair {
    /// How often it was given up; an id of before finds nobody.
    generation: u32,
    seat: Option<Seat>,
}

/// All seats.
#[derive(Default)]
pub(crate) struct Seats {
    places: Vec<Chair>,
    free: Vec<u32>,
}

impl Seats {
    /// Takes a seat.
    pub(crate) fn take(&mut self, seat: Seat) -> PeerId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Chair::default());
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.seat = Some(seat);
        PeerId {
            index,
            generation: place.generation,
        }
    }

    pub(crate) fn get(&mut self, id: PeerId) -> Option<&mut Seat> {
        let place = self.places.get_mut(id.index as usize)?;
        place
            .seat
            .as_mut()
            .filter(|_| place.generation == id.generation)
    }

    /// Gives a seat up.
    pub(crate) fn give_up(&mut self, id: PeerId) {
        if self.get(id).is_some() {
            let place = &mut self.places[id.index as usize];
            place.seat = None;
            place.generation = place.generation.wrapping_add(1);
            self.free.push(id.index);
        }
    }

    /// Everybody, in the order of their places.
    pub(crate) fn all(&self) -> Vec<PeerId> {
        let taken = (0..).zip(&self.places).filter(|(_, p)| p.seat.is_some());
        taken
            .map(|(index, place)| PeerId {
                index,
                generation: place.generation,
            })
            .collect()
    }
}
